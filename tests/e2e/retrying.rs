//! Every response that is not the endpoint's own answer is a transport failure. The worker retries the job in memory,
//! then parks it, and does not give it up while no job is answered.

use std::time::Duration;

use lapin::types::AMQPValue;

use crate::harness::{
    Answer, AnswerKind, DEAD, Endpoint, Gate, Gates, INTERACTIVE, Message, Stage, relay::Relay,
    token,
};

/// The retry queue of the interactive lane with the longest delay used here.
const LONG_DELAY: &str = "revocations.retry.interactive.1h";

/// A reset, a gateway's error and another reset: each wait is twice the one before, by the arrival of
/// the calls, and then the job is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_transport_failure_is_retried_with_growing_delays_and_then_revoked() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| match call.nth {
        1 | 3 => Answer::Reset,
        2 => Answer::status(502),
        _ => Answer::revoked(),
    })
    .await;
    let worker = stage.run(&endpoint).set("retry.initial", "100ms").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;

    let metrics = worker.until_processed("revoked", 1).await;
    assert_eq!(metrics.calls("reset"), 2);
    assert_eq!(metrics.calls("http_5xx"), 1);
    assert_eq!(metrics.calls("revoked"), 1);
    let calls = endpoint.of(&token(1));
    let waits: Vec<Duration> =
        calls.windows(2).map(|pair| pair[1].arrived - pair[0].arrived).collect();
    assert_eq!(waits.len(), 3);
    for (wait, least) in waits.iter().zip([100, 200, 400]) {
        assert!(*wait >= Duration::from_millis(least), "waited {wait:?}, not {least} ms");
    }
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// `Retry-After` is the least delay of the next attempt, and one longer than the limit is cut to it.
#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_the_least_delay() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| {
        let wish = match call.nth {
            1 => "1",
            2 => "999999",
            _ => return Answer::revoked(),
        };
        let headers = vec![("retry-after", wish.to_owned())];
        Answer::Http { said: AnswerKind::Nothing, status: 429, headers, body: Vec::new() }
    })
    .await;
    let worker = stage.run(&endpoint).set("retry.retry_after_max", "2s").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;

    let metrics = worker.until_processed("revoked", 1).await;
    assert_eq!(metrics.calls("http_429"), 2);
    let calls = endpoint.of(&token(1));
    assert!(calls[1].arrived - calls[0].arrived >= Duration::from_secs(1));
    assert!(calls[2].arrived - calls[1].arrived >= Duration::from_secs(2));
    worker.stop().await;
}

/// A redirect is not followed: the other host gets no connection and no token.
#[tokio::test(flavor = "multi_thread")]
async fn a_307_sends_no_byte_to_another_host() {
    let stage = Stage::new().await;
    let other = Endpoint::willing().await;
    let target = other.url().to_owned();
    let endpoint = Endpoint::start(move |call| match call.nth {
        1 | 2 => Answer::redirect(&target),
        _ => Answer::revoked(),
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;

    let metrics = worker.until_processed("revoked", 1).await;
    assert_eq!(metrics.calls("http_3xx"), 2, "the fault happened");
    worker.stop().await;
    assert_eq!(other.connections(), 0);
}

/// No process listens at the endpoint: calls end as `connect`, and the job is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_retried() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let mut way = Relay::shut(endpoint.address());
    let url = format!("http://{}/revoke", way.address());
    let worker = stage.run(&endpoint).set("endpoint.url", url).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    worker.until_metrics("calls to nobody", |metrics| metrics.calls("connect") >= 3).await;
    way.reopen().await;

    worker.until_processed("revoked", 1).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
}

/// A job that has failed for the hold moves to a retry queue and comes back: it gets one attempt per
/// stay, and its dead letter counts the attempts of all its deliveries.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_job_comes_back_with_its_attempts_kept() {
    let stage = Stage::new().await;
    // 429 is not ambiguous: the rejection at the end must be a plain one.
    let (failing, gates) = (Gate::default(), Gates::default());
    let (over, each) = (failing.clone(), gates.clone());
    let endpoint = Endpoint::start(move |call| {
        if over.is_open() {
            Answer::rejected()
        } else {
            Answer::status(429).after(&each.of(&call.nth.to_string()))
        }
    })
    .await;
    let worker = stage.run(&endpoint).set("retry.hold", "200ms").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1)).id("job-1")).await;
    // The deliveries so far at each call, which is held meanwhile: two stays, and a third one.
    let mut deliveries: Vec<usize> = Vec::new();
    while deliveries.last() != Some(&3) {
        let nth = deliveries.len() + 1;
        endpoint.until_count(nth).await;
        deliveries.push(worker.metrics().await.sum("deliveries_total"));
        if deliveries.last() == Some(&3) {
            failing.open();
        }
        gates.of(&nth.to_string()).open();
    }

    let letters = stage.amqp.take(DEAD, 1).await;
    let calls = endpoint.of(&token(1));
    let parked = r#"deferrals_total{how="parked",lane="interactive"}"#;
    worker.until_processed("dead_lettered", 1).await;
    let metrics = worker.until_metrics("its stays", |metrics| metrics.value(parked) >= 3).await;
    assert_eq!(letters[0].reason(), "rejected");
    assert_eq!(letters[0].int("x-revoker-attempts"), Some(i64::try_from(calls.len()).unwrap()));
    let failed = letters[0].time("x-revoker-first-failed-at").unwrap();
    let dead = letters[0].time("x-revoker-dead-at").unwrap();
    assert!(dead - failed >= 2, "the first failure is forgotten: {failed}, dead {dead}");
    assert_eq!(letters[0].properties.message_id().as_ref().unwrap().as_str(), "job-1");
    assert_eq!(metrics.value(parked), 3);
    assert_eq!(metrics.publishes("retry", "confirmed"), 3);
    // Once back from its first stay, a job has one attempt between two stays.
    let back = deliveries.iter().position(|count| *count == 2).expect("it came back");
    assert_eq!(deliveries[back..], [2, 3]);
    assert_eq!(calls.len(), deliveries.len() + 1);
    for pair in calls[back - 1..].windows(2) {
        assert!(pair[1].arrived - pair[0].arrived >= Duration::from_secs(1), "{calls:#?}");
    }
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// The headers of a parked job in its retry queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_job_carries_its_history() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::status(503)).await;
    let worker =
        stage.run(&endpoint).set("retry.hold", "100ms").set("retry.park", "1h").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1)).id("job-1")).await;
    stage.amqp.until_ready(LONG_DELAY, 1).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;

    let letters = stage.amqp.take_all(LONG_DELAY).await;
    let parked = &letters[0];
    assert_eq!(parked.body, Message::job(&token(1)).body);
    assert_eq!(parked.int("x-revoker-attempts"), Some(i64::try_from(endpoint.count()).unwrap()));
    assert_eq!(parked.int("x-revoker-parked"), Some(1));
    assert!(parked.time("x-revoker-first-failed-at").is_some());
    assert_eq!(parked.text("x-revoker-last-error").as_deref(), Some("http_5xx"));
    assert_eq!(parked.flag("x-revoker-ambiguous"), Some(true));
    assert_eq!(parked.text("x-revoker-ambiguity").as_deref(), Some("attempt"));
    assert_eq!(parked.text("x-revoker-lane").as_deref(), Some("interactive"));
    assert_eq!(parked.properties.message_id().as_ref().unwrap().as_str(), "job-1");
    assert_eq!(parked.properties.expiration(), &None, "the delay is the queue's");
    assert!(!matches!(parked.header("x-revoker-reason"), Some(AMQPValue::LongString(_))));
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}

/// A job that fails past the limit while others are answered ends as `exhausted`.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_while_others_are_answered_is_given_up_as_exhausted() {
    let stage = Stage::new().await;
    let failing = token(0);
    let is_failing = failing.clone();
    let endpoint = Endpoint::start(move |call| {
        if call.token == is_failing { Answer::status(503) } else { Answer::revoked() }
    })
    .await;
    let worker = stage
        .run(&endpoint)
        .set("retry.initial", "100ms")
        .set("retry.max", "100ms")
        .set("retry.hold", "2s")
        .set("retry.give_up_after", "2s")
        .ready()
        .await;
    stage.amqp.publish(INTERACTIVE, Message::job(&failing)).await;
    // Other jobs are answered meanwhile.
    let mut others = 0;
    while stage.amqp.depth(DEAD).await.unwrap().ready == 0 {
        others += 1;
        stage.amqp.publish(INTERACTIVE, Message::job(&token(others))).await;
        worker.until_processed("revoked", others).await;
    }

    let letters = stage.amqp.take_all(DEAD).await;
    assert_eq!(letters[0].token(), failing);
    assert_eq!(letters[0].reason(), "exhausted");
    assert_eq!(letters[0].text("x-revoker-last-error").as_deref(), Some("http_5xx"));
    assert_eq!(letters[0].int("x-revoker-http-status"), Some(503));
    assert_eq!(letters[0].text("x-revoker-code"), None);
    assert_eq!(letters[0].flag("x-revoker-ambiguous"), Some(true));
    let calls = endpoint.of(&failing);
    assert_eq!(letters[0].int("x-revoker-attempts"), Some(i64::try_from(calls.len()).unwrap()));
    let failed = letters[0].time("x-revoker-first-failed-at").unwrap();
    let dead = letters[0].time("x-revoker-dead-at").unwrap();
    assert!(dead - failed >= 2, "given up too early: failed at {failed}, dead at {dead}");
    worker.stop().await;
}

/// The same job past the same limit while no job is answered: the worker does not give it up. It retries the job long
/// after, and revokes it when the endpoint recovers.
#[tokio::test(flavor = "multi_thread")]
async fn in_an_outage_nothing_is_given_up() {
    let stage = Stage::new().await;
    let (endpoint, recovered) = Endpoint::failing(Answer::revoked).await;
    let worker = stage
        .run(&endpoint)
        .set("retry.hold", "300ms")
        .set("retry.give_up_after", "1s")
        .ready()
        .await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    endpoint
        .until("calls long past the limit", |calls| {
            calls
                .last()
                .is_some_and(|last| last.arrived - calls[0].arrived >= Duration::from_secs(3))
        })
        .await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
    recovered.open();
    worker.until_processed("revoked", 1).await;
    worker.stop().await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}
