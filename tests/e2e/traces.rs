//! The trace of a job is in every call, in every log line of the job, and in its parked copies and dead letters.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use crate::harness::{
    Answer, Call, DEAD, Endpoint, INTERACTIVE, Message, Stage, message::text, token, worker::field,
};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

/// The trace headers of a call.
type Carried = (Option<String>, Option<String>);

/// The trace headers of each token's calls, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, Vec<Carried>>>>);

impl Seen {
    fn note(&self, call: &Call) {
        let header = |name| call.request.header(name).map(str::to_owned);
        let carried = (header("traceparent"), header("tracestate"));
        self.0.lock().unwrap().entry(call.token.clone()).or_default().push(carried);
    }

    fn of(&self, token: &str) -> Vec<Carried> {
        self.0.lock().unwrap().get(token).cloned().unwrap_or_default()
    }
}

fn traced(n: usize, parent: &str, state: &str) -> Message {
    let message = Message::job(&token(n)).id(&format!("job-{n}"));
    message.header("traceparent", text(parent)).header("tracestate", text(state))
}

/// Broken calls, a retry queue, another call, a dead letter: all have the trace, and so does every log line of the
/// job.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_in_every_call_and_log_line_and_survives_parking() {
    // The second call that breaks ends the hold. On a slow machine, the first one may.
    const BROKEN: usize = 2;
    let stage = Stage::new().await;
    let seen = Seen::default();
    let notes = seen.clone();
    let endpoint = Endpoint::start(move |call| {
        notes.note(call);
        if call.nth <= BROKEN { Answer::Reset } else { Answer::rejected() }
    })
    .await;
    let worker =
        stage.run(&endpoint).set("retry.hold", "40ms").set("log.level", "debug").ready().await;
    stage.amqp.publish(INTERACTIVE, traced(1, PARENT, STATE)).await;
    let letter = stage.amqp.take(DEAD, 1).await.remove(0);
    let metrics = worker.until_processed("dead_lettered", 1).await;
    let stays = metrics.value(r#"deferrals_total{how="parked",lane="interactive"}"#);
    assert!((1..=BROKEN).contains(&stays), "it was not parked");
    assert_eq!(metrics.publishes("retry", "confirmed"), stays);

    let whole = (Some(PARENT.to_owned()), Some(STATE.to_owned()));
    assert_eq!(seen.of(&token(1)), vec![whole; BROKEN + 1]);
    assert_eq!(letter.text("traceparent").as_deref(), Some(PARENT));
    assert_eq!(letter.text("tracestate").as_deref(), Some(STATE));

    worker.until_log_lines("job ended", 1).await;
    // A separate thread writes the log: it is complete when the worker has ended.
    worker.signal("TERM");
    worker.exit().await;
    for (message, count) in
        [("a call got no answer", BROKEN), ("job dead-lettered", 1), ("job ended", 1)]
    {
        let lines = worker.said(message);
        assert_eq!(lines.len(), count, "{message}: {lines:?}");
        for line in &lines {
            assert_eq!(field(line, "trace_id"), Some(TRACE_ID), "{message}");
        }
    }
}

/// Forged headers, and the values that reach the endpoint: a malformed or huge value is dropped without harm, and so is
/// one that shows the token.
#[tokio::test(flavor = "multi_thread")]
async fn only_valid_traces_without_a_token_reach_the_endpoint() {
    let huge = format!("a={}", "x".repeat(100_000));
    let showing = format!("a={}", token(6));
    let parent = Some(PARENT);
    let cases = [
        (PARENT, STATE, (parent, Some(STATE))),
        (PARENT, "a=1\r\nx-evil: 1", (parent, None)),
        (PARENT, huge.as_str(), (parent, None)),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", STATE, (None, None)),
        (huge.as_str(), STATE, (None, None)),
        ("00-x\r\nx-evil: 1", STATE, (None, None)),
        (PARENT, showing.as_str(), (parent, None)),
    ];
    let stage = Stage::new().await;
    let seen = Seen::default();
    let notes = seen.clone();
    let endpoint = Endpoint::start(move |call| {
        notes.note(call);
        assert_eq!(call.request.header("x-evil"), None);
        Answer::revoked()
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;
    for (n, (parent, state, _)) in cases.iter().enumerate() {
        stage.amqp.publish(INTERACTIVE, traced(n, parent, state)).await;
    }
    worker.until_processed("revoked", cases.len()).await;
    for (n, (_, _, (parent, state))) in cases.iter().enumerate() {
        let expected = (parent.map(str::to_owned), state.map(str::to_owned));
        assert_eq!(seen.of(&token(n)), [expected], "case {n}");
    }
    worker.stop().await;
}
