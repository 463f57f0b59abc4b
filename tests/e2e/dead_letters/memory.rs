//! No command uses more memory than a small pod has, for any number and size of messages.

use std::{fs, path::Path};

use super::{Launch, dead, json, tokens};
use crate::harness::{BULK, DEAD, Message, Stage, token};

/// Messages that are published together.
const PART: usize = 10_000;

/// The memory bound of a command, in KiB, for a queue of any length.
const LIMIT: usize = 96 * 1024;

/// The memory bound for a queue of megabytes: it leaves no room for the messages.
const SHORT_LIMIT: usize = 64 * 1024;

/// The id of a message. An id with more digits of its token would be shown as the token's fingerprint.
fn id(n: usize) -> String {
    format!("job-{n:x}")
}

/// Publishes dead letters of jobs 0 to `count`, each second one `exhausted`, the others `rejected`.
async fn publish_dead(stage: &Stage, count: usize, bytes: usize) {
    stage.amqp.declare_family().await;
    let note = "x".repeat(bytes);
    for first in (0..count).step_by(PART) {
        let letter = |n: usize| {
            let body = serde_json::json!({ "refresh_token": token(n), "note": note });
            let reason = if n.is_multiple_of(2) { "exhausted" } else { "rejected" };
            dead(n, reason).with_body(body.to_string()).id(&id(n))
        };
        stage.amqp.publish_all(DEAD, (first..count.min(first + PART)).map(letter)).await;
    }
}

/// Runs a command that must succeed within `limit` KiB, and returns its output.
async fn within(limit: usize, what: &str, action: Launch) -> String {
    let (action, status, peak) = action.run_metered().await;
    assert_eq!(status.code(), Some(0), "{what}: {}", action.stderr());
    println!("{what}: at most {peak} KiB resident");
    assert!(peak <= limit, "{what} took {peak} KiB");
    action.stdout()
}

/// Runs every command on a queue of `count` messages.
async fn every_action(stage: &Stage, folder: &Path, count: usize, limit: usize) {
    let half = count / 2;
    let page = within(limit, "list", stage.dead_letters("list")).await;
    assert!(page.starts_with(&format!("revocations.dead: {count} dead letters\n")), "{page}");
    let show = stage.dead_letters("show").arg(id(count - 1));
    let page = within(limit, "show", show).await;
    assert!(page.contains("  reason                  rejected\n"), "{page}");
    let file = folder.join("all.ndjson");
    let export = stage.dead_letters("export").arg("--reveal").arg(file.display());
    within(limit, "export", export).await;
    let lines = fs::read_to_string(&file).unwrap().lines().count();
    assert_eq!(lines, count);

    let replay = stage.dead_letters("replay").arg("--to-lane").arg("bulk").arg("--json");
    let (replay, status, peak) = replay.arg("--reason").arg("exhausted").run_metered().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    println!("replay of each second letter: at most {peak} KiB resident");
    assert!(peak <= limit, "replay took {peak} KiB");
    assert_eq!(json(&replay)["replayed"], half);
    stage.amqp.until_ready(BULK, u32::try_from(half).unwrap()).await;
    let discard = stage.dead_letters("discard").arg("--yes").arg("--limit").arg(half - 1);
    let said = within(limit, "discard of all but one", discard).await;
    assert!(
        said.starts_with(&format!("{} dead letters of revocations.dead discarded", half - 1)),
        "{said}"
    );
    assert_eq!(tokens(&stage.amqp.take(DEAD, 1).await), [token(count - 1)]);
    let replayed = stage.amqp.drain(BULK, u32::try_from(half).unwrap()).await;
    let expected = (0..count).step_by(2).map(token);
    assert!(tokens(&replayed).into_iter().eq(expected), "the oldest first, each once");
}

/// Messages of 120 MB in total are listed, exported, replayed and discarded.
#[tokio::test(flavor = "multi_thread")]
async fn no_command_keeps_the_letters_that_it_has_processed() {
    const LETTERS: usize = 20_000;
    let stage = Stage::new().await;
    publish_dead(&stage, LETTERS, 6_000).await;
    let all = stage.dead_letters("list").arg("--limit").arg(LETTERS);
    let page = within(SHORT_LIMIT, "list of all", all.clone()).await;
    assert_eq!(page.lines().filter(|line| line.contains(" job-")).count(), LETTERS);
    let listing = within(SHORT_LIMIT, "list of all as JSON", all.arg("--json")).await;
    let listing: serde_json::Value = serde_json::from_str(&listing).unwrap();
    let ids = super::shown(&listing);
    assert!(ids.into_iter().eq((0..LETTERS).map(id)), "out of order");
    let folder = tempfile::tempdir().unwrap();
    every_action(&stage, folder.path(), LETTERS, SHORT_LIMIT).await;
}

/// Large bodies, up to the limit of RabbitMQ 4: only one at a time is in memory.
#[tokio::test(flavor = "multi_thread")]
async fn large_letters_are_processed_one_at_a_time() {
    const LETTERS: usize = 12;
    const BYTES: usize = 16 * 1024 * 1024 - 1024;
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    for n in 0..LETTERS {
        let large = Message::new(vec![b'x'; BYTES]).id(&format!("large-{n}"));
        stage.amqp.publish(DEAD, large).await;
    }
    let page = within(LIMIT, "list of large letters", stage.dead_letters("list")).await;
    assert!(page.starts_with("revocations.dead: 12 dead letters\n"), "{page}");
    let replay = stage.dead_letters("replay").arg("--limit").arg(LETTERS - 1);
    let said = within(LIMIT, "replay of large letters", replay).await;
    assert!(said.contains("0 into interactive, 11 into bulk; 0 left"), "{said}");
    let discard = stage.dead_letters("discard").arg("--yes");
    within(LIMIT, "discard of a large letter", discard).await;
    stage.amqp.until_ready(DEAD, 0).await;
}

/// The largest queue in the runbook. Run by `make test-dead-letters`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn three_hundred_thousand_letters() {
    const LETTERS: usize = 300_000;
    let stage = Stage::new().await;
    publish_dead(&stage, LETTERS, 0).await;
    let folder = tempfile::tempdir().unwrap();
    every_action(&stage, folder.path(), LETTERS, LIMIT).await;
}
