use std::{collections::BTreeMap, error::Error as _, fs, os::unix::fs::symlink, path::Path};

use super::*;
use crate::domain::MAX_TEXT_CHARS as MAX_CHARS;

fn settings(clients: &[(&str, SecretSource)], directory: Option<&Path>) -> CredentialSettings {
    CredentialSettings {
        clients: clients
            .iter()
            .map(|(id, source)| ((*id).to_owned(), source.clone()))
            .collect::<BTreeMap<_, _>>(),
        directory: directory.map(Path::to_owned),
        ..CredentialSettings::default()
    }
}

fn value(secret: &str) -> SecretSource {
    SecretSource::Value(secret.into())
}

fn secret(credentials: &Credentials, client_id: &str) -> Option<String> {
    credentials.secret(client_id).map(|secret| secret.expose_secret().to_owned())
}

fn faults(settings: &CredentialSettings) -> Vec<String> {
    Credentials::load(settings).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_is_taken_byte_for_byte_less_one_newline() {
    let folder = tempfile::tempdir().unwrap();
    let longest = "ñ".repeat(MAX_CHARS);
    let cases = [
        ("plain", "s3cret", "s3cret"),
        ("unix", "s3cret\n", "s3cret"),
        ("windows", "s3cret\r\n", "s3cret"),
        ("blank", " s3cret ", " s3cret "),
        ("longest", longest.as_str(), longest.as_str()),
    ];
    for (name, content, _) in cases {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let credentials = Credentials::load(&settings(&[], Some(folder.path()))).unwrap();
    for (name, _, expected) in cases {
        assert_eq!(secret(&credentials, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(secret(&credentials, "stranger"), None);
}

#[test]
fn every_fault_is_reported_at_once_with_its_path_and_without_content() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a-empty"), "\n").unwrap();
    fs::write(folder.path().join("b-binary"), b"hunter2\xff").unwrap();
    fs::write(folder.path().join("c-long"), "hunter2".repeat(MAX_CHARS)).unwrap();
    fs::write(folder.path().join("d-over"), "x".repeat(MAX_CHARS + 1)).unwrap();
    let missing = folder.path().join("missing");
    let settings = settings(
        &[("none", value("")), ("gone", SecretSource::File(missing.clone()))],
        Some(folder.path()),
    );
    let at = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(
        faults(&settings),
        [
            format!(
                "the secret of client \"gone\" in {}: cannot be read (entity not found)",
                missing.display()
            ),
            "the secret of client \"none\": is empty".to_owned(),
            format!("the secret of client \"a-empty\" in {}: is empty", at("a-empty")),
            format!("the secret of client \"b-binary\" in {}: is not UTF-8", at("b-binary")),
            format!(
                "the secret of client \"c-long\" in {}: has more than {MAX_CHARS} characters, the endpoint's limit",
                at("c-long")
            ),
            format!(
                "the secret of client \"d-over\" in {}: has more than {MAX_CHARS} characters, the endpoint's limit",
                at("d-over")
            ),
        ]
    );
    let debug = format!("{:?}", Credentials::load(&settings));
    assert!(!debug.contains("hunter2"), "{debug}");
}

#[test]
fn impossible_characters_are_a_fault_and_suspicious_ones_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("a-bom", "\u{feff}hunter2"),
        ("b-nul", "hunter2\0\n"),
        ("c-lines", "hunter2\n\n"),
        ("d-tab", "\thunter2"),
        ("e-blank", " hunter2 \n"),
        ("f-quotes", "\"hunter2\""),
        ("g\u{a0}", "hunter2"),
        ("h\u{feff}", "hunter2"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let said = |faults: &[CredentialFault]| -> Vec<String> {
        faults
            .iter()
            .map(|fault| fault.to_string().replace(folder.path().to_str().unwrap(), ""))
            .collect()
    };
    let settings = settings(&[("inline", value("hunter2\r\n"))], Some(folder.path()));
    let wrong = said(&Credentials::load(&settings).unwrap_err());
    let remedy = "remove it: the endpoint would reject every job";
    assert_eq!(
        wrong,
        [
            format!("the secret of client \"inline\": holds a line break; {remedy}"),
            format!("the secret of client \"a-bom\" in /a-bom: holds a byte order mark; {remedy}"),
            format!("the secret of client \"b-nul\" in /b-nul: holds a NUL; {remedy}"),
            format!("the secret of client \"c-lines\" in /c-lines: holds a line break; {remedy}"),
            format!(
                "the secret of client \"d-tab\" in /d-tab: holds a control character; {remedy}"
            ),
            format!(
                "the secret of client \"h\\u{{feff}}\" in /h\\u{{feff}}: its file's name holds a byte \
                 order mark; {remedy}"
            ),
        ]
    );

    for wrong in ["a-bom", "b-nul", "c-lines", "d-tab", "h\u{feff}"] {
        fs::remove_file(folder.path().join(wrong)).unwrap();
    }
    let settings =
        CredentialSettings { directory: settings.directory, ..CredentialSettings::default() };
    let credentials = Credentials::load(&settings).unwrap();
    let odd = said(credentials.oddities());
    assert_eq!(odd.len(), 3, "{odd:#?}");
    assert!(odd[0].starts_with(
        "the secret of client \"e-blank\" in /e-blank: begins or ends with a blank; "
    ));
    assert!(odd[1].starts_with("the secret of client \"f-quotes\" in /f-quotes: is in quotes; "));
    assert!(odd[2].contains(": its file's name begins or ends with a blank; "), "{}", odd[2]);
    // Secrets with warnings are used unchanged.
    assert_eq!(secret(&credentials, "e-blank").as_deref(), Some(" hunter2 "));
    assert_eq!(secret(&credentials, "g\u{a0}").as_deref(), Some("hunter2"));
    let (_, again) = credentials.reload();
    assert_eq!(said(&again), odd);
}

#[test]
fn a_folder_that_cannot_be_read_is_a_fault_that_keeps_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Credentials::load(&settings(&[], Some(&folder.path().join("none")))).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].client_id.is_none());
    assert!(faults[0].source().is_some());
}

#[test]
fn a_kubernetes_mount_is_read_through_its_links() {
    let mount = tempfile::tempdir().unwrap();
    let version = mount.path().join("..2024_01_01");
    fs::create_dir(&version).unwrap();
    fs::write(version.join("shop"), "s3cret").unwrap();
    symlink("..2024_01_01", mount.path().join("..data")).unwrap();
    symlink("..data/shop", mount.path().join("shop")).unwrap();
    fs::create_dir(mount.path().join("folder")).unwrap();
    let credentials = Credentials::load(&settings(&[], Some(mount.path()))).unwrap();
    assert_eq!(secret(&credentials, "shop").as_deref(), Some("s3cret"));
    assert_eq!(credentials.clients(), 1);
}

#[test]
fn the_table_wins_over_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop"), "").unwrap();
    let credentials =
        Credentials::load(&settings(&[("shop", value("table"))], Some(folder.path()))).unwrap();
    assert_eq!(secret(&credentials, "shop").as_deref(), Some("table"));
}

#[test]
fn a_reload_takes_new_secrets_and_withdraws_removed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for name in ["same", "rotated", "gone"] {
        fs::write(file(name), "old").unwrap();
    }
    let credentials = Credentials::load(&settings(&[], Some(folder.path()))).unwrap();
    fs::write(file("rotated"), "new").unwrap();
    fs::write(file("added"), "new").unwrap();
    fs::remove_file(file("gone")).unwrap();
    let (reloaded, faults) = credentials.reload();
    assert_eq!((reloaded.clients, reloaded.renewed.len(), reloaded.withdrawn.len()), (3, 2, 1));
    let renewed = ["added", "rotated"].map(|id| credentials.key(id).unwrap());
    assert!(renewed.iter().all(|key| reloaded.renewed.contains(key)));
    assert_eq!(reloaded.renewed.len(), renewed.len());
    assert_eq!(credentials.key("gone"), None);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(secret(&credentials, "rotated").as_deref(), Some("new"));
    assert_eq!(secret(&credentials, "gone"), None);
}

#[test]
fn a_reload_keeps_the_old_secret_of_an_unreadable_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for name in ["emptied", "rotated"] {
        fs::write(file(name), "old").unwrap();
    }
    let credentials = Credentials::load(&settings(&[], Some(folder.path()))).unwrap();
    fs::write(file("emptied"), "").unwrap();
    fs::write(file("rotated"), "new").unwrap();
    let (reloaded, faults) = credentials.reload();
    assert_eq!((reloaded.clients, reloaded.renewed.len(), reloaded.withdrawn.len()), (2, 1, 0));
    assert_eq!(faults.len(), 1);
    assert_eq!(secret(&credentials, "emptied").as_deref(), Some("old"));
    assert_eq!(secret(&credentials, "rotated").as_deref(), Some("new"));

    fs::remove_dir_all(folder.path()).unwrap();
    let (reloaded, faults) = credentials.reload();
    assert_eq!((reloaded.clients, reloaded.renewed.len(), reloaded.withdrawn.len()), (2, 0, 0));
    assert_eq!(faults.len(), 1);
    assert_eq!(secret(&credentials, "emptied").as_deref(), Some("old"));
    assert_eq!(secret(&credentials, "rotated").as_deref(), Some("new"));
}

#[test]
fn only_secrets_in_files_are_watched() {
    let watched = |clients: &[(&str, SecretSource)], directory| {
        Credentials::load(&settings(clients, directory)).unwrap().watches_files()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop");
    fs::write(&file, "s3cret").unwrap();
    assert!(!watched(&[], None));
    assert!(!watched(&[("shop", value("s3cret"))], None));
    assert!(watched(&[("a", value("s3cret")), ("shop", SecretSource::File(file))], None));
    assert!(watched(&[("shop", value("s3cret"))], Some(folder.path())));
}
