//! Signed reports.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::Value;

use super::mostly_willing;
use crate::harness::{Launch, Swept};

/// A pair of keys as files beside the swept one.
fn keys(swept: &Swept, name: &str) -> (PathBuf, PathBuf) {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let (private, public) =
        (swept.beside(&format!("{name}.pem")), swept.beside(&format!("{name}.pub")));
    fs::write(&private, pair.serialize_pem()).unwrap();
    fs::write(&public, pair.public_key_pem()).unwrap();
    (private, public)
}

fn verify(report: &Path, key: &Path) -> Launch {
    Launch::bare("report").arg("verify").arg(report.display()).arg("--key").arg(key.display())
}

fn beside(report: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sig", report.display()))
}

/// Both forms are signed. `verify` names the key, finds each changed byte, and tells another key from a change. The
/// private key is in no output.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_report_is_verified_and_a_change_is_found() {
    let endpoint = mostly_willing().await;
    let swept = Swept::tokens(8);
    let ((private, public), (_, other)) = (keys(&swept, "key"), keys(&swept, "other"));
    let (json, html) = (swept.beside("report.json"), swept.beside("report.html"));
    let launch = swept.launch(&endpoint).set("log.level", "trace").arg("--json");
    let launch = launch.arg("--report").arg(json.display()).arg("--report").arg(html.display());
    let launch = launch.arg("--sign-key-file").arg(private.display());
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let key = report["signed_by"].as_str().unwrap().to_owned();
    let secret = fs::read_to_string(&private).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    let outputs = [run.stdout(), run.stderr(), fs::read_to_string(&html).unwrap()];
    assert!(outputs.iter().all(|output| !output.contains(secret)), "the key shows");

    for report in [&json, &html] {
        let (run, status) = verify(report, &public).run().await;
        assert_eq!(status.code(), Some(0), "{}", run.stderr());
        assert!(run.stdout().contains(&format!("unchanged, signed by {key}")), "{}", run.stdout());

        let (run, status) = verify(report, &other).arg("--json").run().await;
        assert_eq!(status.code(), Some(1), "{}", run.stderr());
        assert!(run.stderr().contains(&format!("it names the key {key}")), "{}", run.stderr());
        assert!(run.stdout().contains("\"valid\":false"), "{}", run.stdout());

        let whole = fs::read(report).unwrap();
        let mut changed = whole.clone();
        let at = whole.len() / 2;
        changed[at] ^= 1;
        fs::write(report, changed).unwrap();
        let (run, status) = verify(report, &public).run().await;
        assert_eq!(status.code(), Some(1), "{}", run.stderr());
        assert!(run.stderr().contains("was changed after"), "{}", run.stderr());
        fs::write(report, whole).unwrap();
    }
    for (report, key) in [(&json, &private), (&json, &json), (&swept.beside("none"), &public)] {
        let (run, status) = verify(report, key).run().await;
        assert_eq!(status.code(), Some(2), "{}", run.stderr());
    }
}

/// A report that is not signed replaces a signed one together with its signature: an old signature beside it would look
/// like a forgery. A signature of another program stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_without_a_signature_leaves_no_old_one_beside_it() {
    let endpoint = mostly_willing().await;
    let swept = Swept::tokens(2);
    let (private, public) = keys(&swept, "key");
    let report = swept.beside("report.json");
    let launch = swept.launch(&endpoint).arg("--report").arg(report.display());
    let signed = launch.clone().arg("--sign-key-file").arg(private.display());
    let (run, status) = signed.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let signature = fs::read(beside(&report)).unwrap();

    let (run, status) = launch.clone().run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert!(!beside(&report).exists(), "the old signature is left");
    assert!(run.stderr().contains("report.json.sig was removed"), "{}", run.stderr());
    assert_eq!(verify(&report, &public).run().await.1.code(), Some(2), "there is no signature");

    // An older version, or another program, may have left it.
    fs::write(beside(&report), signature).unwrap();
    let (run, status) = verify(&report, &public).run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    assert!(run.stderr().contains("written without --sign-key-file"), "{}", run.stderr());
    fs::write(beside(&report), "-----BEGIN PGP SIGNATURE-----").unwrap();
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert!(beside(&report).exists(), "it is not ours");

    // What would be removed must not be another file of the command.
    let named = swept.beside("leak.sig");
    fs::write(&named, "another file").unwrap();
    let launch = swept.launch(&endpoint).arg("--report").arg(swept.beside("leak").display());
    let launch = launch.arg("--report").arg(named.display());
    assert_eq!(launch.run().await.1.code(), Some(2));
}

/// A faulty key, or a key that would be overwritten, is refused before any call.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_sign_is_refused_before_any_call() {
    let endpoint = mostly_willing().await;
    let swept = Swept::tokens(1);
    let (private, public) = keys(&swept, "key");
    let report = swept.beside("report.json");
    for (report, key, word) in [
        (&report, &public, "Ed25519 private key"),
        (&report, &swept.beside("nowhere"), "cannot be read"),
        (&private, &private, "the signing key and the report at once"),
    ] {
        let launch = swept.launch(&endpoint).arg("--report").arg(report.display());
        let (run, status) = launch.arg("--sign-key-file").arg(key.display()).run().await;
        assert_eq!(status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains(word), "no {word} in {}", run.stderr());
        assert!(!swept.journal().exists(), "a journal was made");
    }
    let launch = swept.launch(&endpoint).arg("--sign-key-file").arg(private.display());
    assert_eq!(launch.run().await.1.code(), Some(2), "there is nothing to sign");
    assert_eq!(endpoint.count(), 0);
}

/// The commands of the documentation: `openssl` makes the key, and checks the signature without Revoker.
#[tokio::test(flavor = "multi_thread")]
async fn openssl_makes_the_key_and_checks_the_signature() {
    let openssl = |arguments: &[&str], folder: &Path| {
        Command::new("openssl").args(arguments).current_dir(folder).output()
    };
    let endpoint = mostly_willing().await;
    let swept = Swept::tokens(2);
    let folder = swept.input().parent().unwrap().to_owned();
    let Ok(made) = openssl(&["genpkey", "-algorithm", "ed25519", "-out", "key.pem"], &folder)
    else {
        println!("skipped: there is no openssl");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let public = openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"], &folder);
    assert!(public.unwrap().status.success());
    let report = folder.join("report.json");
    let launch = swept.launch(&endpoint).arg("--report").arg(report.display());
    let key = folder.join("key.pem");
    let (run, status) = launch.arg("--sign-key-file").arg(key.display()).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let (run, status) = verify(&report, &folder.join("public.pem")).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());

    let check = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "public.pem",
        "-rawin",
        "-in",
        "report.json",
        "-sigfile",
        "report.json.sig",
    ];
    let checked = openssl(&check, &folder).unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let mut signature = fs::read(beside(&report)).unwrap();
    signature[0] ^= 1;
    fs::write(beside(&report), signature).unwrap();
    assert!(!openssl(&check, &folder).unwrap().status.success());

    // The name of the key is the hash of its DER form, as the documentation says.
    let der = openssl(
        &["pkey", "-pubin", "-in", "public.pem", "-outform", "DER", "-out", "public.der"],
        &folder,
    );
    assert!(der.unwrap().status.success());
    let sum = Command::new("sha256sum").arg(folder.join("public.der")).output().unwrap().stdout;
    let name = format!("ed25519:{}", String::from_utf8(sum).unwrap().split(' ').next().unwrap());
    assert!(fs::read_to_string(&report).unwrap().contains(&name), "{name}");
}
