use std::{fs, path::Path};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{report::ReloadReport, trigger::RELOAD_INTERVAL, *};
use crate::{
    broker::HistoryKeys,
    domain::ClientKey,
    endpoint::{CredentialSettings, Reloaded},
    worker::hangup::Hangup,
};

/// A folder with the secret of the client `shop`.
fn folder() -> (TempDir, Arc<Credentials>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop"), "hunter2-old").unwrap();
    let settings = CredentialSettings {
        directory: Some(folder.path().to_owned()),
        ..CredentialSettings::default()
    };
    let credentials = Arc::new(Credentials::load(&settings).unwrap());
    (folder, credentials)
}

fn secret(credentials: &Credentials) -> Option<String> {
    credentials.secret("shop").map(|secret| secret.expose_secret().to_owned())
}

/// The fault of a client's file.
fn fault(folder: &Path, client: &str, what: &str) -> String {
    let path = folder.join(client);
    format!("the secret of client {client:?} in {}: {what}", path.display())
}

fn faults<const N: usize>(faults: [String; N]) -> ReloadReport {
    ReloadReport { faults: faults.into(), ..ReloadReport::default() }
}

#[tokio::test]
async fn each_change_is_reported_once() {
    let (folder, credentials) = folder();
    let file = |name: &str| folder.path().join(name);
    let mut reloader = SecretReloader::new(Arc::clone(&credentials).into());
    assert_eq!(reloader.read().await, ReloadReport::default(), "nothing changed");

    fs::write(file("shop"), "hunter2-new").unwrap();
    fs::write(file("bakery"), "hunter2-first").unwrap();
    let replaced = Some(Reloaded {
        clients: 2,
        renewed: vec![ClientKey(0), ClientKey(1)],
        withdrawn: Vec::new(),
    });
    assert_eq!(reloader.read().await, ReloadReport { replaced, ..ReloadReport::default() });
    assert_eq!(secret(&credentials).as_deref(), Some("hunter2-new"));
    assert_eq!(reloader.read().await, ReloadReport::default(), "reported before");

    fs::remove_file(file("bakery")).unwrap();
    let replaced =
        Some(Reloaded { clients: 1, renewed: Vec::new(), withdrawn: vec![ClientKey(1)] });
    assert_eq!(reloader.read().await, ReloadReport { replaced, ..ReloadReport::default() });
}

#[tokio::test]
async fn each_fault_is_reported_once_and_the_old_secret_stays_in_force() {
    let (folder, credentials) = folder();
    let folder = folder.path();
    let file = |name: &str| folder.join(name);
    let mut reloader = SecretReloader::new(Arc::clone(&credentials).into());

    fs::write(file("shop"), "").unwrap();
    let emptied = fault(folder, "shop", "is empty; the old secret stays in force");
    assert_eq!(reloader.read().await, faults([emptied]));
    assert_eq!(reloader.read().await, ReloadReport::default(), "the same fault");

    fs::write(file("shop"), b"hunter2\xff").unwrap();
    fs::write(file("florist"), "").unwrap();
    let none_before = "is empty; it had none before, so its jobs cannot be called";
    let not_text = fault(folder, "shop", "is not UTF-8; the old secret stays in force");
    assert_eq!(reloader.read().await, faults([fault(folder, "florist", none_before), not_text]));
    assert_eq!(secret(&credentials).as_deref(), Some("hunter2-old"));

    fs::remove_file(file("florist")).unwrap();
    assert_eq!(reloader.read().await, ReloadReport::default(), "one fault of two is left");
    fs::write(file("shop"), "hunter2-old").unwrap();
    assert_eq!(reloader.read().await, ReloadReport { recovered: true, ..ReloadReport::default() });

    fs::remove_dir_all(folder).unwrap();
    let gone = format!(
        "the client secrets in {}: cannot be read (entity not found); the old secrets stay in force",
        folder.display()
    );
    assert_eq!(reloader.read().await, faults([gone]));
    assert_eq!(secret(&credentials).as_deref(), Some("hunter2-old"));
}

#[tokio::test]
async fn a_suspicious_secret_is_reported_once_and_used() {
    let (folder, credentials) = folder();
    let mut reloader = SecretReloader::new(Arc::clone(&credentials).into());
    fs::write(folder.path().join("shop"), "\"hunter2-new\"").unwrap();
    let report = reloader.read().await;
    assert_eq!(
        report.replaced,
        Some(Reloaded { clients: 1, renewed: vec![ClientKey(0)], withdrawn: Vec::new() })
    );
    assert_eq!(report.faults.len(), 1);
    let said = &report.faults[0];
    assert!(
        said.contains(": is in quotes; ") && said.ends_with("; it is used unchanged"),
        "{said}"
    );
    assert_eq!(secret(&credentials).as_deref(), Some("\"hunter2-new\""));
    assert_eq!(reloader.read().await, ReloadReport::default(), "reported before");
    // A fault that exists at the start is reported by the start itself.
    let again = CredentialSettings {
        directory: Some(folder.path().to_owned()),
        ..CredentialSettings::default()
    };
    let mut reloader = SecretReloader::new(Arc::new(Credentials::load(&again).unwrap()).into());
    assert_eq!(reloader.read().await, ReloadReport::default());
    fs::write(folder.path().join("shop"), "hunter2-new").unwrap();
    assert!(!reloader.read().await.recovered, "it was no fault");
}

#[tokio::test]
async fn changed_history_keys_are_reported_once_and_a_fault_keeps_the_old_ones() {
    let (folder, credentials) = folder();
    let path = folder.path().join(".history-keys");
    let (old, new) = ("hunter2-old".repeat(3), "hunter2-new".repeat(3));
    fs::write(&path, &old).unwrap();
    let history_keys = Arc::new(HistoryKeys::load(Some(&path)).unwrap());
    let mac = history_keys.sign(b"a history").unwrap();
    let secrets =
        ReloadableSecrets { credentials, verifying: None, history_keys: Arc::clone(&history_keys) };
    let mut reloader = SecretReloader::new(secrets);
    assert_eq!(reloader.read().await, ReloadReport::default(), "nothing changed");

    fs::write(&path, format!("{new}\n{old}\n")).unwrap();
    assert_eq!(
        reloader.read().await,
        ReloadReport { history_keys: Some(2), ..ReloadReport::default() }
    );
    assert_ne!(history_keys.sign(b"a history").unwrap().as_ref(), mac.as_ref());
    assert!(history_keys.verify(b"a history", mac.as_ref()), "the old key verifies");

    fs::write(&path, "").unwrap();
    let emptied =
        format!("the history keys: {} holds no key; the old keys stay in force", path.display());
    assert_eq!(reloader.read().await, faults([emptied]));
    assert_eq!(reloader.read().await, ReloadReport::default(), "the same fault");
    assert!(history_keys.verify(b"a history", mac.as_ref()));

    fs::write(&path, &new).unwrap();
    let replaced =
        ReloadReport { history_keys: Some(1), recovered: true, ..ReloadReport::default() };
    assert_eq!(reloader.read().await, replaced);
    assert!(!history_keys.verify(b"a history", mac.as_ref()), "the old key is gone");
}

/// The client that checks tokens has a secret of its own.
#[tokio::test]
async fn a_changed_secret_of_the_checks_is_reported_once_and_a_fault_keeps_the_old_one() {
    let ((_clients, credentials), (folder, verifying)) = (folder(), folder());
    let secrets =
        ReloadableSecrets { verifying: Some(Arc::clone(&verifying)), ..credentials.into() };
    let mut reloader = SecretReloader::new(secrets);
    assert_eq!(reloader.read().await, ReloadReport::default(), "nothing changed");
    fs::write(folder.path().join("shop"), "hunter2-new").unwrap();
    let replaced = ReloadReport { verifying: true, ..ReloadReport::default() };
    assert_eq!(reloader.read().await, replaced);
    assert_eq!(secret(&verifying).as_deref(), Some("hunter2-new"));
    fs::write(folder.path().join("shop"), "").unwrap();
    let emptied =
        fault(folder.path(), "shop", "is empty; the old secret stays in force for checks");
    assert_eq!(reloader.read().await, faults([emptied]));
    assert_eq!(secret(&verifying).as_deref(), Some("hunter2-new"));
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_taken_up_until_the_shutdown() {
    let (folder, credentials) = folder();
    let shutdown = CancellationToken::new();
    let keeping = tokio::spawn(keep_fresh(
        Arc::clone(&credentials).into(),
        ReloadSignals::listen(Hangup::Ignored),
        |_| {},
        shutdown.clone(),
    ));
    fs::write(folder.path().join("shop"), "hunter2-new").unwrap();
    let began = Instant::now();
    while secret(&credentials).as_deref() != Some("hunter2-new") {
        assert!(began.elapsed() < RELOAD_INTERVAL * 2, "not taken up");
        sleep(RELOAD_INTERVAL / 10).await;
    }
    shutdown.cancel();
    keeping.await.unwrap();
}
