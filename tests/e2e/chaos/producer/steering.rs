//! Properties, headers and fields that would steer the worker if it let itself be steered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lapin::types::{AMQPValue, FieldTable};

use super::{Fate, Nuisance, nuisance::plain};
use crate::{
    chaos::{Area, Plan, sized},
    harness::{Endpoint, Message, Stage, canary, message::text},
};

/// A queue that nobody may be led to.
const TRAP: &str = "trap";
/// Headers of one message: as many as fit into the broker's frame.
const MANY: usize = 10_000;
/// What a forged trace would smuggle into a request.
const SMUGGLED: &str = "x-smuggled";

const fn job(fault: &'static str, message: fn(&str) -> Message) -> Nuisance {
    Nuisance { fault, token: plain, message, fate: Fate::Job }
}

/// A past that would exhaust the job, excuse its rejection, or name its reason.
pub const SPOOFED: Nuisance = job("spoofed `x-revoker-*` headers", |token| {
    Message::job(token)
        .header("x-revoker-attempts", AMQPValue::LongLongInt(i64::MAX))
        .header("x-revoker-parked", AMQPValue::LongLongInt(i64::MIN))
        .header("x-revoker-first-failed-at", AMQPValue::Timestamp(1))
        .header("x-revoker-ambiguous", AMQPValue::Boolean(true))
        .header("x-revoker-ambiguity", text("attempt"))
        .header("x-revoker-lane", text("elsewhere"))
        .header("x-revoker-reason", text("revoked"))
        .header("x-revoker-replays", AMQPValue::FieldTable(FieldTable::default()))
        .header("x-revoker-\0", AMQPValue::Void)
});

pub const MANY_HEADERS: Nuisance = job("ten thousand headers", |token| {
    (0..MANY).fold(Message::job(token), |message, n| {
        message.header(&format!("h{n:04}"), AMQPValue::Boolean(true))
    })
});

/// Not a trace among them, and one that would add a header of its own.
pub const FORGED_TRACES: Nuisance = job("forged traces", |token| {
    let (trace, parent) = ("a".repeat(32), "b".repeat(16));
    let forged = if token.ends_with(['0', '2', '4', '6', '8']) {
        text(&format!("00-{trace}-{parent}-01\r\n{SMUGGLED}: 1"))
    } else {
        AMQPValue::LongLongInt(7)
    };
    Message::job(token)
        .header("traceparent", forged)
        .header("tracestate", text(&"=,".repeat(4_000)))
});

/// Where else the job could be taken, and the answer to it.
const ELSEWHERE: &str = "http://127.0.0.1:1/elsewhere";

pub const ADDRESSES: Nuisance = job("a URL and a `reply_to`", |token| {
    let body = serde_json::json!({
        "refresh_token": token, "url": ELSEWHERE, "endpoint": { "url": ELSEWHERE },
        "proxy": ELSEWHERE, "callback": ELSEWHERE, "queue": TRAP, "client_secret": canary::SECRET,
    });
    Message::new(body.to_string())
        .with(|properties| properties.with_reply_to(TRAP.into()).with_correlation_id(TRAP.into()))
        .header("x-dead-letter-routing-key", text(TRAP))
});

pub const STEERING: [Nuisance; 4] = [SPOOFED, MANY_HEADERS, FORGED_TRACES, ADDRESSES];

/// One row for each. No request holds what a trace smuggled, nobody is called but the endpoint, and the
/// trap stays empty.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn nobody_is_steered() {
    for nuisance in STEERING {
        let smuggled = Arc::new(AtomicUsize::new(0));
        let (count, times) = (smuggled.clone(), sized(20, 200));
        let plan = Plan::new(Area::Producer, nuisance.fault).jobs(sized(100, 3_000));
        let mut trial = plan
            .begin_on(Stage::new().await, async move |law| {
                Endpoint::start(move |call| {
                    let head = call.request.head.to_ascii_lowercase();
                    count.fetch_add(head.contains(SMUGGLED).into(), Ordering::SeqCst);
                    law.answer(call)
                })
                .await
            })
            .await;
        trial.stage.amqp.declare(TRAP, FieldTable::default()).await;
        let good = trial.part(1.0);
        nuisance.mix_in(&mut trial, 0, times, good).await;
        trial.publish_all().await;
        let worker = trial.ready().await;
        let all = trial.part(1.0) + times;
        worker
            .until_metrics("every job to end", |metrics| {
                metrics.sum("revocations_processed_total") == all
            })
            .await;
        assert_eq!(trial.stage.amqp.depth(TRAP).await.unwrap().ready, 0, "{}", nuisance.fault);
        let evidence = nuisance.fired(&trial, 0, times);
        trial.close([worker], evidence, 0).await;
        assert_eq!(smuggled.load(Ordering::SeqCst), 0, "{}", nuisance.fault);
    }
}
