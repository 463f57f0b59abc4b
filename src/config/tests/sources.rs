//! Tests of missing files, broken files and files of other systems.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;

/// Loads these bytes as the only file, without any client, and returns the faults.
fn faults_of(content: &[u8]) -> Vec<String> {
    let folder = Folder::new();
    lines(
        &Config::load(Needs::ALL, &[folder.write("worker.toml", content)], variables(&[]))
            .unwrap_err(),
    )
}

#[test]
fn line_ends_and_byte_order_marks_of_other_systems() {
    let config = load("\u{feff}[broker]\r\nqueue = 'q'\r\n[log]\r\nlevel = 'warn'\r\n").unwrap();
    assert_eq!(config.broker.queue, "q");
    let faults = load("\u{feff}[broker]\r\nqueue = ''\r\n\r\nprefetch = 0\r\n").unwrap_err();
    let lines = lines(&faults);
    assert!(lines[0].starts_with("broker.queue (worker.toml:2)"), "{lines:#?}");
    assert!(lines[1].starts_with("broker.prefetch (worker.toml:4)"), "{lines:#?}");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = Folder::new();
    let path = PathBuf::from(folder.path("missing.toml"));
    let faults = Config::load(Needs::ALL, &[path], CLIENT).unwrap_err();
    assert_eq!(lines(&faults), ["missing.toml: does not exist; correct the path or create it"]);

    let faults = Config::load(Needs::ALL, &[folder.0.path().to_owned()], CLIENT).unwrap_err();
    assert!(faults.to_string().ends_with(": is a directory; give the path of a file"), "{faults}");

    let path = PathBuf::from(folder.path("line\nbreak.toml"));
    let faults = Config::load(Needs::ALL, &[path], CLIENT).unwrap_err();
    assert_eq!(faults.to_string().lines().count(), 1, "{faults}");
}

#[test]
fn files_that_are_not_utf_8() {
    let expected = "worker.toml: is not UTF-8 (line 2); save it as UTF-8, which TOML requires";
    assert_eq!(faults_of(b"[broker]\nqueue = '\xff'\n"), [expected]);
}

#[test]
fn broken_syntax_is_reported_by_line_without_the_line() {
    let faults = faults_of(
        b"[credentials]\nclient_secret = hunter2-canary\n\n[broker]\nurl = \"amqp://u:canary@h\nqueue = 'q'\n",
    );
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].starts_with("worker.toml:2: is not valid TOML: "), "{}", faults[0]);
    assert!(faults[1].starts_with("worker.toml:5: is not valid TOML: "), "{}", faults[1]);
    assert!(!faults.concat().contains("canary"), "{faults:#?}");
}

#[test]
fn a_key_that_stands_twice_is_broken_syntax() {
    let faults = faults_of(b"[broker]\nqueue = 'a'\nqueue = 'b'\n");
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(
        faults[0].starts_with("worker.toml:3: is not valid TOML: duplicate key"),
        "{}",
        faults[0]
    );
}

#[test]
fn a_broken_file_hides_no_fault_of_another() {
    let folder = Folder::new();
    let broken = folder.write("a.toml", "[broker\n");
    let wrong = folder.write("b.toml", "[log]\nlevel = 1\n");
    let faults = lines(&Config::load(Needs::ALL, &[broken, wrong], variables(&[])).unwrap_err());
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].starts_with("a.toml:1: "), "{}", faults[0]);
    assert!(faults[1].starts_with("log.level (b.toml:2): "), "{}", faults[1]);
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_utf_8() {
    use std::os::unix::ffi::OsStringExt;

    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let mut environment = variables(&CLIENT);
    environment.push((bytes(b"OTHER\xff"), bytes(b"\xff")));
    assert!(
        Config::load(Needs::ALL, &[], environment.clone()).is_ok(),
        "what is not ours is not looked at"
    );
    environment.push(("REVOKER_BROKER__QUEUE".into(), bytes(b"q\xff")));
    environment.push(("REVOKER_LOG__FORMAT".into(), "xml".into()));
    let faults = lines(&Config::load(Needs::ALL, &[], environment).unwrap_err());
    assert_eq!(
        faults[0],
        "broker.queue (REVOKER_BROKER__QUEUE): is not UTF-8; set it to valid UTF-8"
    );
    assert!(faults[1].starts_with("log.format (REVOKER_LOG__FORMAT): "), "{faults:#?}");
    assert_eq!(faults.len(), 2);
}

#[test]
fn certificates_and_keys_are_looked_into() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["rabbit.example".to_owned()]).unwrap();
    let folder = Folder::new();
    folder.write("cert.pem", cert.pem());
    folder.write("key.pem", signing_key.serialize_pem());
    let file = |certificate: &str, key: &str| {
        let (certificate, key) = (folder.path(certificate), folder.path(key));
        format!(
            "broker.client_certificate_file = '{certificate}'\nbroker.client_key_file = '{key}'\n\
             broker.ca_file = '{certificate}'\nendpoint.ca_file = '{certificate}'"
        )
    };
    let config = load(&file("cert.pem", "key.pem")).unwrap();
    assert!(
        config.broker.client_certificate_file.is_some() && config.broker.client_key_file.is_some()
    );
    assert!(config.broker.ca_file.is_some() && config.endpoint.ca_file.is_some());

    let faults = lines(&load(&file("key.pem", "cert.pem")).unwrap_err());
    assert_eq!(faults.iter().filter(|fault| fault.contains("holds no certificate")).count(), 3);
    assert_eq!(faults.iter().filter(|fault| fault.contains("private key")).count(), 1);
    assert_eq!(faults.len(), 4, "{faults:#?}");

    let half = format!("broker.client_key_file = '{}'", folder.path("key.pem"));
    let faults = lines(&load(&half).unwrap_err());
    assert!(
        faults[0].starts_with("broker.client_key_file (worker.toml:1): is only half"),
        "{faults:#?}"
    );
    assert_eq!(faults.len(), 1);
}
