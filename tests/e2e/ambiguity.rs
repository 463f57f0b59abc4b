//! The endpoint is not idempotent: a token that may already be revoked must not count as a plain failure.

use crate::harness::{Answer, DEAD, Endpoint, INTERACTIVE, Launch, Message, Stage, token};

/// Hangs on the first call for a token and rejects every later one, like an endpoint that revoked it at the first call.
async fn hangs_then_rejects() -> Endpoint {
    Endpoint::start(|call| match call.nth {
        1 => Answer::Never,
        _ => Answer::rejected(),
    })
    .await
}

/// Time-outs that are just long enough for an answered call on a busy machine.
fn with_short_timeouts(stage: &Stage, endpoint: &Endpoint) -> Launch {
    stage.run(endpoint).set("endpoint.timeout", "5s").set("endpoint.connect_timeout", "5s")
}

/// A time-out followed by `01`: the token may or may not be revoked, and the dead letter says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_followed_by_01_is_dead_lettered_as_rejected_after_ambiguity() {
    let stage = Stage::new().await;
    let endpoint = hangs_then_rejects().await;
    let worker = with_short_timeouts(&stage, &endpoint).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;

    let letters = stage.amqp.take(DEAD, 1).await;
    assert_eq!(letters[0].reason(), "rejected_after_ambiguity");
    assert_eq!(letters[0].flag("x-revoker-ambiguous"), Some(true));
    assert_eq!(letters[0].text("x-revoker-ambiguity").as_deref(), Some("attempt"));
    assert_eq!(letters[0].text("x-revoker-code").as_deref(), Some("01"));
    let metrics = worker.until_processed("dead_lettered", 1).await;
    assert_eq!(metrics.calls("timeout"), 1, "the fault happened");
    assert_eq!(letters[0].int("x-revoker-attempts"), Some(2));
    let series =
        r#"revocations_failed_total{lane="interactive",reason="rejected_after_ambiguity"}"#;
    assert_eq!(metrics.value(series), 1);
    worker.stop().await;
}

/// The same with the operator's setting: acked and counted as presumed revoked, never as revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_followed_by_01_is_presumed_revoked_by_choice() {
    let stage = Stage::new().await;
    let endpoint = hangs_then_rejects().await;
    let worker = with_short_timeouts(&stage, &endpoint).presuming().ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;

    let metrics = worker.until_processed("presumed_revoked", 1).await;
    assert_eq!(metrics.calls("timeout"), 1, "the fault happened");
    assert_eq!(metrics.processed("revoked"), 0);
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}

/// A worker that dies during a call leaves the same ambiguity. The next worker knows only the broker's flag. With any
/// setting, that is not enough to presume the token revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_job_that_is_rejected_is_never_presumed_revoked() {
    let stage = Stage::new().await;
    let endpoint = hangs_then_rejects().await;
    let launch = stage.run(&endpoint).presuming();
    let worker = launch.ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    endpoint.until_count(1).await;
    worker.kill().await;

    let worker = launch.ready().await;
    let letters = stage.amqp.take(DEAD, 1).await;
    assert_eq!(letters[0].reason(), "rejected_after_ambiguity");
    assert_eq!(letters[0].text("x-revoker-ambiguity").as_deref(), Some("redelivered"));
    let metrics = worker.until_processed("dead_lettered", 1).await;
    assert_eq!(metrics.value(r#"deliveries_total{lane="interactive",redelivered="true"}"#), 1);
    worker.stop().await;
}
