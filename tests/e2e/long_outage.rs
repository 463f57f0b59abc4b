//! Tests that time in a pause is not counted, also across a retry queue and a restart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::harness::{Answer, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, token};

/// Longer than a worker needs to start and to pause again, even on a slow machine.
const GIVE_UP_AFTER: Duration = Duration::from_secs(6);

/// Failed probes of the first worker. Their intervals take longer than that.
const PROBES: usize = 16;
const PROBE_MAX: Duration = Duration::from_millis(500);

/// The endpoint's script for the job that fails once more after the outage.
#[derive(Clone, Default)]
struct Script {
    back: Arc<AtomicBool>,
    /// The number of other answered calls.
    answered: Arc<AtomicUsize>,
    /// Its call began while others are answered.
    held: Gate,
    /// The job may fail now.
    released: Gate,
}

impl Script {
    fn answer(&self, failing: bool) -> Answer {
        if !self.back.load(Ordering::SeqCst) {
            return Answer::status(503);
        }
        if !failing {
            self.answered.fetch_add(1, Ordering::SeqCst);
            return Answer::revoked();
        }
        if self.answered.load(Ordering::SeqCst) == 0 {
            return Answer::status(503);
        }
        if self.held.is_open() {
            return Answer::revoked();
        }
        self.held.open();
        Answer::status(503).after(&self.released)
    }
}

/// A job is parked in an outage, and its worker is restarted in the middle of it. Then the endpoint answers others, and
/// the job fails once more, long after `retry.give_up_after` by the time of day.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_give_up_after_gives_up_nothing() {
    let stage = Stage::new().await;
    let script = Script::default();
    let (failing, does) = (token(0), script.clone());
    let is_failing = failing.clone();
    let endpoint = Endpoint::start(move |call| does.answer(call.token == is_failing)).await;
    let launch = stage
        .run(&endpoint)
        .set("retry.initial", "25ms")
        .set("retry.max", "50ms")
        .set("retry.hold", humantime::format_duration(GIVE_UP_AFTER))
        .set("retry.give_up_after", humantime::format_duration(GIVE_UP_AFTER))
        .set("retry.park", "200ms")
        .set("flow.pause.after_failures", 3)
        .set("flow.pause.probe_initial", humantime::format_duration(PROBE_MAX))
        .set("flow.pause.probe_max", humantime::format_duration(PROBE_MAX));

    let first = launch.ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&failing)).await;
    first.until_log_lines("paused again", PROBES).await;
    first.stop().await;
    let second = launch.ready().await;
    second.until_log_lines("paused again", 2).await;
    let calls = endpoint.of(&failing);
    let lasted = calls[calls.len() - 1].arrived - calls[0].arrived;
    assert!(lasted > GIVE_UP_AFTER, "the outage lasted no longer than {lasted:?}");

    script.back.store(true, Ordering::SeqCst);
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    second.until_log_lines("running again", 1).await;
    script.held.passed().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(2))).await;
    second.until_processed("revoked", 2).await;
    script.released.open();

    let metrics = second.until_processed("revoked", 3).await;
    assert_eq!(metrics.processed("dead_lettered"), 0);
    let after = endpoint.of(&failing).len() - calls.len();
    assert!(after >= 2, "it failed once more while others were answered, and was revoked then");
    second.stop().await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}
