//! `discard`: only the selected messages are discarded.

use super::{dead, json, tokens};
use crate::harness::{DEAD, Launch, Stage, token};

fn launch(stage: &Stage) -> Launch {
    stage.dead_letters("discard").arg("--reason").arg("invalid_job")
}

async fn publish_dead(stage: &Stage) {
    let reason = |n: usize| if n.is_multiple_of(3) { "invalid_job" } else { "exhausted" };
    stage.publish_dead((0..9).map(|n| dead(n, reason(n)))).await;
}

fn others() -> Vec<String> {
    (0..9).filter(|n| n % 3 != 0).map(token).collect()
}

/// Without a terminal it refuses, except with `--yes`. A dry run changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_discarded_only_after_a_confirmation() {
    let stage = Stage::new().await;
    publish_dead(&stage).await;
    let (discard, status) = launch(&stage).run().await;
    assert_eq!(status.code(), Some(2));
    assert!(discard.stderr().contains("--yes"), "{}", discard.stderr());
    let (discard, status) = launch(&stage).input("3\n").run().await;
    assert_eq!(status.code(), Some(2), "a pipe is nobody: {}", discard.stdout());
    let (discard, status) = launch(&stage).arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(0), "{}", discard.stderr());
    let said = discard.stdout();
    assert!(said.starts_with("3 dead letters of revocations.dead would be discarded\n"), "{said}");
    stage.amqp.until_ready(DEAD, 9).await;

    let (discard, status) = launch(&stage).arg("--yes").arg("--json").run().await;
    assert_eq!(status.code(), Some(0), "{}", discard.stderr());
    let summary = json(&discard);
    assert_eq!((&summary["selected"], &summary["discarded"]), (&3.into(), &3.into()));
    assert_eq!(summary["reasons"]["invalid_job"], 3);
    assert_eq!(tokens(&stage.amqp.take(DEAD, 6).await), others());
}

/// On a terminal only the number itself confirms.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_to_type_the_number() {
    let stage = Stage::new().await;
    publish_dead(&stage).await;
    for answer in ["y\n", "9\n", "\n"] {
        let (discard, status) = launch(&stage).on_terminal().input(answer).run().await;
        assert_eq!(status.code(), Some(1), "{answer:?}: {}", discard.stdout());
        let said = discard.stdout();
        assert!(said.contains("Type the number 3 to continue"), "{said}");
        assert!(said.contains("nothing was discarded"), "{said}");
    }
    stage.amqp.until_ready(DEAD, 9).await;
    let (discard, status) = launch(&stage).on_terminal().input("3\n").run().await;
    assert_eq!(status.code(), Some(0), "{}", discard.stdout());
    let said = discard.stdout();
    assert!(said.contains("3 dead letters of revocations.dead discarded, 0 left"), "{said}");
    assert!(said.contains("reading") && said.contains("discarding"), "no bar: {said}");
    assert_eq!(tokens(&stage.amqp.take(DEAD, 6).await), others());
}

/// A limit selects the oldest messages.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_takes_the_oldest() {
    let stage = Stage::new().await;
    publish_dead(&stage).await;
    let discard = stage.dead_letters("discard").arg("--yes");
    let (_, status) = discard.clone().arg("--limit").arg(4).run().await;
    assert_eq!(status.code(), Some(0));
    stage.amqp.until_ready(DEAD, 5).await;
    let (list, _) = stage.dead_letters("list").arg("--json").run().await;
    assert_eq!(super::shown(&json(&list)), ["job-4", "job-5", "job-6", "job-7", "job-8"]);
    let (_, status) = discard.run().await;
    assert_eq!(status.code(), Some(0));
    stage.amqp.until_ready(DEAD, 0).await;
}
