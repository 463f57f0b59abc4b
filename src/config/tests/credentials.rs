//! Tests of clients and their secrets.

use secrecy::ExposeSecret;

use super::*;
use crate::endpoint::SecretSource;

/// Loads a file without any client in the environment.
fn load_alone(file: &str) -> Result<Config, ConfigFaults> {
    let folder = Folder::new();
    Config::load(Needs::ALL, &[folder.write("worker.toml", file)], variables(&[]))
}

fn only_fault(file: &str) -> String {
    let faults = lines(&load_alone(file).unwrap_err());
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults.into_iter().next().unwrap()
}

#[test]
fn clients_come_from_the_table_and_the_default() {
    let folder = Folder::new();
    folder.write("b", "second\n");
    let config = load_alone(&format!(
        "[credentials]\nclient_id = 'default'\nclient_secret = 'first'\n\
         [credentials.clients.\"a.B c\"]\nclient_secret_file = '{}'\n\
         [credentials.clients]\nd = {{ client_secret = 'third' }}\n",
        folder.path("b")
    ))
    .unwrap();
    let clients = &config.credentials.clients;
    assert_eq!(clients.keys().collect::<Vec<_>>(), ["a.B c", "d", "default"]);
    let SecretSource::Value(secret) = &clients["default"] else { panic!("a value was given") };
    assert_eq!(secret.expose_secret(), "first");
    let SecretSource::File(path) = &clients["a.B c"] else { panic!("a file was given") };
    assert_eq!(path.to_str().unwrap(), folder.path("b"));
    assert_eq!(config.pipeline.defaults.client_id.as_deref(), Some("default"));
}

#[test]
fn the_default_client_may_have_its_secret_in_the_table_or_the_directory() {
    let in_table = "credentials.client_id = 'a'\ncredentials.clients.a.client_secret = 's'";
    assert_eq!(load_alone(in_table).unwrap().credentials.clients.len(), 1);

    let folder = Folder::new();
    folder.write("a", "s");
    let directory = format!("credentials.directory = '{}'", folder.0.path().display());
    let config = load_alone(&format!("credentials.client_id = 'a'\n{directory}")).unwrap();
    assert_eq!(config.credentials.directory.as_deref(), Some(folder.0.path()));
    // An id cannot lead out of the folder.
    for id in ["b", "../a", "./a", "..", "x/../a"] {
        let fault = only_fault(&format!("credentials.client_id = '{id}'\n{directory}"));
        assert!(
            fault.starts_with("credentials.client_id (worker.toml:1): names a client without"),
            "{fault}"
        );
    }
}

#[test]
fn incomplete_credentials_are_refused() {
    for (file, begin) in [
        ("", "credentials: names no client secret"),
        ("[credentials.clients]", "credentials: names no client secret"),
        (
            "credentials.client_secret = 's'",
            "credentials.client_secret (worker.toml:1): is given without a client id",
        ),
        (
            "credentials.client_id = 'a'",
            "credentials.client_id (worker.toml:1): names a client without",
        ),
        (
            "[credentials.clients.a]",
            "credentials.clients.a (worker.toml:1): names a client without a secret",
        ),
        ("credentials.clients.a = 's'", "credentials.clients.a (worker.toml:1): is not a table"),
        ("credentials.clients = 's'", "credentials.clients (worker.toml:1): is not a table"),
        (
            "credentials.clients.a.client_secret = ''",
            "credentials.clients.a.client_secret (worker.toml:1): is empty",
        ),
        (
            "credentials.clients.a.client_secret = 7",
            "credentials.clients.a.client_secret (worker.toml:1): is a number",
        ),
        (
            "[credentials.clients.a]\nclient_secret = 's'\nclient_secret_file = '/dev/null'",
            "credentials.clients.a.client_secret (worker.toml:2): is given twice in one place",
        ),
        (
            "[credentials.clients.a]\nclient_secret = 's'\nsecret = 's'",
            "credentials.clients.a.secret (worker.toml:3): is an unknown key; the nearest known one is \
             credentials.clients.a.client_secret",
        ),
        (
            "[credentials]\nclient_id = 'a'\nclient_secret = 's'\nclients.a.client_secret = 't'",
            "credentials.client_secret (worker.toml:3): is given for a client that is in",
        ),
        (
            "credentials.clients.a.client_secret_file = '/nowhere/secret'",
            "credentials.clients.a.client_secret_file (worker.toml:1): names a file that does not exist",
        ),
        (
            "credentials.clients.a.client_secret_file = '/dev/null'",
            "credentials.clients.a.client_secret_file (worker.toml:1): names a file that is empty",
        ),
        (
            "credentials.directory = '/nowhere'",
            "credentials.directory (worker.toml:1): is no folder",
        ),
        ("credentials.clients.\"\".client_secret = 's'", "credentials.clients.\"\": is empty"),
    ] {
        let fault = only_fault(file);
        assert!(fault.starts_with(begin), "{file}: {fault}");
    }
    let folder = Folder::new();
    folder.write("secret", "s");
    let fault =
        only_fault(&format!("credentials.client_secret_file = '{}'", folder.path("secret")));
    assert!(fault.starts_with("credentials.client_secret_file (worker.toml:1): is given without"));
    let long = "x".repeat(101);
    let fault = only_fault(&format!("credentials.clients.a.client_secret = '{long}'"));
    assert!(fault.contains("has more than 100 characters"), "{fault}");
    let fault = only_fault(&format!("credentials.clients.{long}.client_secret = 's'"));
    assert!(fault.contains("has more than 100 characters"), "{fault}");
}

/// The endpoint would reject every job with such a secret or id, and the cause is invisible.
#[test]
fn impossible_characters_of_secrets_and_ids_are_refused() {
    let folder = Folder::new();
    folder.write("bom", "\u{feff}hunter2\n");
    folder.write("lines", "hunter2\nhunter3\n");
    folder.write("wide", "h\0u\0n\0t\0");
    let in_file =
        |name| format!("credentials.clients.a.client_secret_file = '{}'", folder.path(name));
    for (file, begin) in [
        (
            in_file("bom"),
            "credentials.clients.a.client_secret_file (worker.toml:1): names a file that holds a byte order mark; remove it",
        ),
        (
            in_file("lines"),
            "credentials.clients.a.client_secret_file (worker.toml:1): names a file that holds a line break",
        ),
        (
            in_file("wide"),
            "credentials.clients.a.client_secret_file (worker.toml:1): names a file that holds a NUL",
        ),
        (
            "credentials.clients.a.client_secret = \"hunter2\\n\"".to_owned(),
            "credentials.clients.a.client_secret (worker.toml:1): holds a line break; remove it",
        ),
        (
            "credentials.clients.\"\\uFEFFa\".client_secret = 's'".to_owned(),
            "credentials.clients.\"\\u{feff}a\": holds a byte order mark",
        ),
        (
            "credentials.clients.\"a\\n\".client_secret = 's'".to_owned(),
            "credentials.clients.\"a\\n\": holds a line break",
        ),
    ] {
        let fault = only_fault(&file);
        assert!(fault.starts_with(begin), "{file}: {fault}");
        assert!(!fault.contains("hunter"), "{fault}");
    }
    // Values of the environment, as `echo | base64` produces them.
    for (key, value) in [
        ("CLIENT_SECRET", "hunter2\n"),
        ("CLIENT_ID", "\u{feff}merchant"),
        ("CLIENT_ID", "merchant\n"),
    ] {
        let faults =
            lines(&load_with("", &[(&format!("REVOKER_CREDENTIALS__{key}"), value)]).unwrap_err());
        let begin =
            format!("credentials.{} (REVOKER_CREDENTIALS__{key}): holds a ", key.to_lowercase());
        assert!(faults.iter().any(|fault| fault.starts_with(&begin)), "{faults:#?}");
    }
}

/// A client id with a blank or in quotes may be right, so it is a warning. Warnings about secrets come when they are
/// loaded.
#[test]
fn odd_ids_are_warnings() {
    for (id, words) in
        [("a ", "begins or ends with a blank"), ("'a'", "is in quotes"), ("a\u{a0}", "blank")]
    {
        let config =
            load_alone(&format!("credentials.clients.\"{id}\".client_secret = ' s '")).unwrap();
        assert_eq!(config.warnings.len(), 1, "{:#?}", config.warnings);
        assert!(config.warnings[0].contains(words), "{}", config.warnings[0]);
        let credentials = crate::endpoint::Credentials::load(&config.credentials).unwrap();
        let odd: Vec<String> = credentials.oddities().iter().map(ToString::to_string).collect();
        assert_eq!(odd.len(), 1, "{odd:#?}");
        assert!(odd[0].contains("begins or ends with a blank"), "{odd:#?}");
    }
    let default = "credentials.client_id = 'a '\ncredentials.client_secret = 's'";
    let warnings = load_alone(default).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        file_names(&warnings[0])
            .starts_with("credentials.client_id (worker.toml:1): begins or ends"),
        "{warnings:#?}"
    );
}

#[test]
fn clients_cannot_be_set_by_the_environment() {
    let faults =
        load_with("", &[("REVOKER_CREDENTIALS__CLIENTS__A__CLIENT_SECRET", "s")]).unwrap_err();
    let lines = lines(&faults);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains(
        "(REVOKER_CREDENTIALS__CLIENTS__A__CLIENT_SECRET): cannot be set by the environment"
    ));
}

#[test]
fn an_empty_directory_is_a_warning() {
    let folder = Folder::new();
    let config =
        load_alone(&format!("credentials.directory = '{}'", folder.0.path().display())).unwrap();
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn a_command_without_calls_needs_no_secrets() {
    let folder = Folder::new();
    let file =
        "[credentials]\nclient_id = 'a'\nclient_secret_file = '/nowhere'\ndirectory = '/nowhere'";
    let file = folder.write("worker.toml", file);
    assert!(Config::load(Needs::NONE, std::slice::from_ref(&file), variables(&[])).is_ok());
    assert!(Config::load(Needs::ALL, &[file], variables(&[])).is_err());
    assert!(Config::load(Needs::NONE, &[], variables(&[])).is_ok());
    assert!(Config::load(Needs::NONE, &[], variables(&[("REVOKER_LOG__LEVEL", "x")])).is_err());
}
