//! `browse`: a person sees groups, shows one dead letter, replays and discards what is selected. The harness searches
//! everything that was written to the terminal for canaries.

use super::{dead, json, tokens};
use crate::harness::{BULK, DEAD, Message, Stage, Terminal, message::text, token};

/// Six dead letters in three groups: three exhausted, two invalid, one rejected.
async fn publish_dead(stage: &Stage) {
    let reasons = ["exhausted", "invalid_job", "exhausted", "invalid_job", "exhausted", "rejected"];
    let letters = reasons.into_iter().enumerate().map(|(n, reason)| letter(n, reason));
    stage.publish_dead(letters).await;
}

/// A dead letter of the bulk lane whose detail is the same for its reason.
fn letter(n: usize, reason: &str) -> Message {
    dead(n, reason)
        .header("x-revoker-lane", text("bulk"))
        .header("x-revoker-detail", text(&format!("because of {reason}")))
}

/// It shows groups, then one of them, then one dead letter. Nothing is moved, and the terminal is left as it was.
#[tokio::test(flavor = "multi_thread")]
async fn groups_and_letters_are_shown_without_tokens() {
    let stage = Stage::new().await;
    publish_dead(&stage).await;
    let browse = stage.dead_letters("browse");
    let terminal = Terminal::start(&browse, (80, 24));
    let groups = terminal.until(&["6 dead letters in 3 groups", "because of rejected"]).await;
    let counts: Vec<_> = groups.lines().filter(|line| line.contains("because of")).collect();
    assert!(counts[0].contains("3 exhausted"), "{groups}");
    assert!(counts[1].contains("2 invalid_job"), "{groups}");
    terminal.keys(&["Enter"]);
    let letters = terminal.until(&["job-0", "job-2", "job-4"]).await;
    assert!(!letters.contains("job-1") && letters.contains("bulk"), "{letters}");
    terminal.keys(&["Down", "Enter"]);
    terminal.until(&["because of exhausted", "producer's headers", "tenant"]).await;
    terminal.keys(&["Escape"]);
    terminal.until(&["enter show"]).await;
    terminal.keys(&["q"]);
    terminal.until(&["in 3 groups"]).await;
    terminal.keys(&["q"]);
    assert_eq!(terminal.ended().await, 0);
    assert_eq!(tokens(&stage.amqp.take(DEAD, 6).await), (0..6).map(token).collect::<Vec<_>>());

    let (browse, status) = browse.run().await;
    assert_eq!(status.code(), Some(2), "a pipe is no terminal");
    assert!(browse.stderr().contains("needs a terminal"), "{}", browse.stderr());
}

/// Only the typed number changes something, and only what was selected when the question came.
#[tokio::test(flavor = "multi_thread")]
async fn a_marked_group_is_discarded_after_its_number_is_typed() {
    let stage = Stage::new().await;
    publish_dead(&stage).await;
    let terminal = Terminal::start(&stage.dead_letters("browse"), (80, 24));
    terminal.until(&["6 dead letters in 3 groups"]).await;
    terminal.keys(&["Down", "Space", "d"]);
    let question = terminal.until(&["Type the number 2 to continue"]).await;
    assert!(question.contains("2 dead letters would be deleted for good"), "{question}");
    terminal.keys(&["6", "Enter"]);
    terminal.until(&["That is not the number: nothing was changed."]).await;
    stage.amqp.until_ready(DEAD, 6).await;
    terminal.keys(&["Space"]);
    terminal.until(&["in 3 groups"]).await;

    terminal.keys(&["d"]);
    terminal.until(&["Type the number 2 to continue"]).await;
    // It comes after the question, so it is not selected.
    stage.amqp.publish(DEAD, letter(7, "invalid_job")).await;
    terminal.keys(&["2", "Enter"]);
    terminal.until(&["2 dead letters of revocations.dead discarded, 0 left"]).await;
    terminal.keys(&["Space"]);
    terminal.until(&["5 dead letters in 3 groups"]).await;
    terminal.keys(&["q"]);
    assert_eq!(terminal.ended().await, 0);
    let left: Vec<_> = [0, 2, 4, 5, 7].map(token).into();
    assert_eq!(tokens(&stage.amqp.take(DEAD, 5).await), left);
}

/// Single dead letters are replayed by the rules of `replay`: to their lane, counted, and rejected ones only if that was
/// asked for.
#[tokio::test(flavor = "multi_thread")]
async fn single_letters_are_replayed_and_rejected_ones_are_left() {
    let stage = Stage::new().await;
    publish_dead(&stage).await;
    let terminal = Terminal::start(&stage.dead_letters("browse"), (80, 24));
    terminal.until(&["6 dead letters in 3 groups"]).await;
    // The last group holds the rejected one.
    terminal.keys(&["End", "r"]);
    terminal
        .until(&["1 dead letter left out", "--include-rejected", "Nothing is left to change."])
        .await;
    terminal.keys(&["Space"]);
    terminal.until(&["in 3 groups"]).await;

    terminal.keys(&["Home", "Enter"]);
    terminal.until(&["job-0", "job-4"]).await;
    terminal.keys(&["Space", "End", "Space", "r"]);
    terminal.until(&["2 dead letters would be replayed, each to its own lane", "number 2"]).await;
    terminal.keys(&["2", "Enter"]);
    terminal
        .until(&["2 dead letters of revocations.dead replayed: 0 into interactive, 2 into bulk"])
        .await;
    terminal.keys(&["Space"]);
    terminal.until(&["4 dead letters in 3 groups"]).await;
    terminal.signal("TERM");
    assert_eq!(terminal.ended().await, 0);
    assert_eq!(tokens(&stage.amqp.take(BULK, 2).await), [token(0), token(4)]);
    let (list, _) = stage.dead_letters("list").arg("--json").run().await;
    assert_eq!(super::shown(&json(&list)), ["job-1", "job-2", "job-3", "job-5"]);
}
