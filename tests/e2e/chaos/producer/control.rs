//! Properties, headers and fields that try to control the worker.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lapin::types::{AMQPValue, FieldTable};

use super::{BadJob, Class, bad_job::plain};
use crate::{
    chaos::{Area, Plan, sized},
    harness::{Endpoint, Message, Stage, canary, message::text},
};

/// A queue that must stay empty.
const TRAP: &str = "trap";
/// Headers of one message: as many as fit into the broker's frame.
const MANY: usize = 10_000;
/// The header that a forged trace would smuggle into a request.
const SMUGGLED: &str = "x-smuggled";

const fn job(fault: &'static str, message: fn(&str) -> Message) -> BadJob {
    BadJob { fault, token: plain, message, class: Class::Job }
}

/// A history that would exhaust the job, explain its rejection, or set its reason.
pub const SPOOFED: BadJob = job("spoofed `x-revoker-*` headers", |token| {
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

pub const MANY_HEADERS: BadJob = job("ten thousand headers", |token| {
    (0..MANY).fold(Message::job(token), |message, n| {
        message.header(&format!("h{n:04}"), AMQPValue::Boolean(true))
    })
});

/// Invalid traces, including one that would add a header.
pub const FORGED_TRACES: BadJob = job("forged traces", |token| {
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

/// Another address for the call and its answer.
const ELSEWHERE: &str = "http://127.0.0.1:1/elsewhere";

pub const ADDRESSES: BadJob = job("a URL and a `reply_to`", |token| {
    let body = serde_json::json!({
        "refresh_token": token, "url": ELSEWHERE, "endpoint": { "url": ELSEWHERE },
        "proxy": ELSEWHERE, "callback": ELSEWHERE, "queue": TRAP, "client_secret": canary::SECRET,
    });
    Message::new(body.to_string())
        .with(|properties| properties.with_reply_to(TRAP.into()).with_correlation_id(TRAP.into()))
        .header("x-dead-letter-routing-key", text(TRAP))
});

pub const CONTROL: [BadJob; 4] = [SPOOFED, MANY_HEADERS, FORGED_TRACES, ADDRESSES];

/// One row for each. No request holds a smuggled header, only the endpoint is called, and the trap queue
/// stays empty.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn content_controls_nothing() {
    for bad_job in CONTROL {
        let smuggled = Arc::new(AtomicUsize::new(0));
        let (count, times) = (smuggled.clone(), sized(20, 200));
        let plan = Plan::new(Area::Producer, bad_job.fault).jobs(sized(100, 3_000));
        let mut case = plan
            .begin_on(Stage::new().await, async move |script| {
                Endpoint::start(move |call| {
                    let head = call.request.head.to_ascii_lowercase();
                    count.fetch_add(head.contains(SMUGGLED).into(), Ordering::SeqCst);
                    script.answer(call)
                })
                .await
            })
            .await;
        case.stage.amqp.declare(TRAP, FieldTable::default()).await;
        let good = case.part(1.0);
        bad_job.mix_in(&mut case, 0, times, good).await;
        case.publish_all().await;
        let worker = case.ready().await;
        let all = case.part(1.0) + times;
        worker
            .until_metrics("every job to end", |metrics| {
                metrics.sum("revocations_processed_total") == all
            })
            .await;
        assert_eq!(case.stage.amqp.depth(TRAP).await.unwrap().ready, 0, "{}", bad_job.fault);
        let evidence = bad_job.fired(&case, 0, times);
        case.close([worker], evidence, 0).await;
        assert_eq!(smuggled.load(Ordering::SeqCst), 0, "{}", bad_job.fault);
    }
}
