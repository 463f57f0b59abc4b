//! `export`: the jobs of dead letters as a file.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{dead, json, tokens};
use crate::harness::{BULK, DEAD, Message, Stage, canary, token};

/// Without `--reveal` the file is no input. With it, the file contains the jobs that died. Only its owner may read it.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_input_again_if_its_tokens_are_revealed() {
    let stage = Stage::new().await;
    let dir = tempfile::tempdir().unwrap();
    let body = serde_json::json!({
        "refresh_token": token(1), "client_id": "shop", "expires_at": 4_000_000_000_u64,
        "client_secret": canary::SECRET,
    });
    let with_more = dead(1, "exhausted").with_body(body.to_string());
    stage
        .publish_dead([
            dead(0, "exhausted"),
            with_more,
            dead(2, "rejected"),
            Message::new("no job"),
        ])
        .await;

    let veiled = dir.path().join("veiled.ndjson");
    let (export, status) = stage.dead_letters("export").arg(veiled.display()).run().await;
    assert_eq!(status.code(), Some(3), "one was no job: {}", export.stderr());
    let said = export.stdout();
    assert!(said.contains("3 dead letters") && said.contains("without tokens"), "{said}");
    assert!(said.contains("left out, because their bodies are no jobs: 1"), "{said}");
    let text = fs::read_to_string(&veiled).unwrap();
    canary::assert_clean("an export without tokens", text.as_bytes());
    assert_eq!(text.lines().count(), 3);
    assert!(
        text.contains("\"client_id\":\"shop\"") && text.contains("\"expires_at\":4000000000"),
        "{text}"
    );

    let revealed = dir.path().join("jobs.ndjson");
    let launch = stage.dead_letters("export").arg("--reason").arg("exhausted").arg("--reveal");
    let (export, status) = launch.clone().arg(revealed.display()).arg("--json").run().await;
    assert_eq!(status.code(), Some(0), "{}", export.stderr());
    let summary = json(&export);
    assert_eq!((&summary["exported"], &summary["revealed"]), (&2.into(), &true.into()));
    let text = fs::read_to_string(&revealed).unwrap();
    assert!(!text.contains(canary::SECRET), "the client's secret is spread");
    assert_eq!(fs::metadata(&revealed).unwrap().permissions().mode() & 0o777, 0o600);

    let enqueue = stage.launch("enqueue").arg(revealed.display());
    let enqueue = enqueue.set("broker.connect_timeout", "60s").set("broker.confirm_timeout", "60s");
    let (enqueue, status) = enqueue.run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    let jobs = stage.amqp.take(BULK, 2).await;
    assert_eq!(tokens(&jobs), [token(0), token(1)]);
    let second: serde_json::Value = serde_json::from_slice(&jobs[1].body).unwrap();
    assert_eq!(
        (&second["client_id"], &second["expires_at"]),
        (&"shop".into(), &4_000_000_000_u64.into())
    );
    assert_eq!(stage.amqp.take(DEAD, 4).await.len(), 4, "the letters stay");
}

/// An existing file is replaced only with `--force`. A failed export leaves no file.
#[tokio::test(flavor = "multi_thread")]
async fn another_file_is_not_overwritten() {
    let stage = Stage::new().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.ndjson");
    fs::write(&file, "precious").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();

    // The queue does not exist yet, so this command fails midway.
    let (_, status) = stage.dead_letters("export").arg(file.display()).arg("--force").run().await;
    assert_eq!(status.code(), Some(1));
    stage.publish_dead([dead(0, "exhausted")]).await;
    let (export, status) = stage.dead_letters("export").arg(file.display()).run().await;
    assert_eq!(status.code(), Some(2));
    assert!(export.stderr().contains("--force"), "{}", export.stderr());
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let (export, status) =
        stage.dead_letters("export").arg(file.display()).arg("--force").run().await;
    assert_eq!(status.code(), Some(0), "{}", export.stderr());
    assert!(fs::read_to_string(&file).unwrap().contains("refresh_token_fingerprint"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was left behind");

    for wrong in ["-", "/nowhere/out.ndjson"] {
        let (export, status) = stage.dead_letters("export").arg(wrong).arg("--reveal").run().await;
        assert_ne!(status.code(), Some(0), "{wrong}");
        assert_eq!(export.stdout(), "", "{wrong}");
    }
}

/// Runs a command with a root file system that cannot be written. Where the machine forbids that, no file of it can.
const READ_ONLY: &str = r#"
user=$(test "$(id -u)" = 0 || echo --map-root-user)
if unshare $user --mount true 2>/dev/null; then
  exec unshare $user --mount sh -c 'mount -o remount,bind,ro / && cd / && ! touch /probe 2>/dev/null && exec "$0" "$@"' "$0" "$@"
fi
trap '' XFSZ; ulimit -f 0"#;

/// Without tokens, an export to standard output needs no file: it works in a container with a read-only root.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_to_standard_output_has_no_tokens_and_needs_no_file() {
    let stage = Stage::new().await;
    let no_job = Message::new("no job");
    stage.publish_dead([dead(0, "exhausted"), dead(1, "rejected"), no_job]).await;
    let export = stage.dead_letters("export").arg("-");
    let (run, status) = export.clone().after(READ_ONLY).run().await;
    assert_eq!(status.code(), Some(3), "one was no job: {}", run.stderr());
    let lines = run.stdout();
    canary::assert_clean("an export to standard output", lines.as_bytes());
    assert_eq!(lines.lines().count(), 2, "{lines}");
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line.get("refresh_token").is_none(), "{line}");
    }
    let said = run.stderr();
    assert!(said.contains("written to standard output, without tokens"), "{said}");

    let (run, status) = export.arg("--reveal").run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    assert!(run.stdout().is_empty() && run.stderr().contains("name a file"), "{}", run.stderr());
}
