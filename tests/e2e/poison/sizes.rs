//! Tests of oversized messages: headers beyond a frame, bodies beyond the memory.

use super::{kinds::entry, mended};
use crate::harness::{
    Answer, BULK, DEAD, Endpoint, INTERACTIVE, Message, Stage,
    broker::OwnBroker,
    raw::{Properties, long},
    token,
};

/// The largest frame, by the broker's default.
const FRAME_MAX: usize = 131_072;

/// A message whose headers fill the frame exceeds it at a redelivery, because the broker adds headers. Then they are
/// left out, and the job is done.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_grow_beyond_the_frame_are_left_out() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let body = Message::job(&token(1)).body;
    let properties = Properties::of_a_job().text(7, b"full");
    let filled = |bytes: usize| {
        let value = [b"S", &long(&vec![b'h'; bytes])[..]].concat();
        properties.clone().headers(&entry(b"filler", &value))
    };
    let room = FRAME_MAX - 8 - filled(0).header(body.len()).len();
    let mut raw = stage.raw().await;
    raw.publish(INTERACTIVE, &filled(room), &body).await;
    raw.hand_back(INTERACTIVE).await;
    assert!(raw.hand_back(INTERACTIVE).await > FRAME_MAX, "the broker added nothing");

    let worker = stage.run(&endpoint).ready().await;
    let metrics = worker.until_processed("dead_lettered", 1).await;
    assert_eq!(metrics.sum("broker_sessions_total"), 0, "a session ended");
    assert_eq!(mended(&worker).await, [0, 0, 1], "the headers still fit");
    worker.stop().await;
    let letters = stage.amqp.take(DEAD, 1).await;
    assert_eq!(letters[0].properties.message_id().as_ref().unwrap().as_str(), "full");
    assert_eq!(letters[0].flag("x-revoker-headers-dropped"), Some(true));
    assert!(letters[0].header("filler").is_none());
}

/// Far more bytes than may be in flight: the bytes in flight stay within their bound, and every job is done.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_held_within_a_bound_of_bytes() {
    const MIB: usize = 1024 * 1024;
    const BODIES: usize = 12;
    const BODY: usize = 16 * MIB;
    const BOUND: usize = 32 * MIB;
    let broker = OwnBroker::start("max_message_size = 134217728\n", None).await;
    let stage = Stage::own(&broker).await;
    stage.amqp.declare_family().await;
    let endpoint = Endpoint::willing().await;
    let mut raw = stage.raw().await;
    for n in 0..BODIES {
        let properties = Properties::of_a_job().text(7, format!("large-{n}").as_bytes());
        raw.publish(INTERACTIVE, &properties, &vec![b'x'; BODY]).await;
        stage.amqp.publish(INTERACTIVE, Message::job(&token(n))).await;
    }
    // One of them is larger than the bound of bytes in flight.
    raw.publish(INTERACTIVE, &Properties::of_a_job(), &vec![b'x'; 3 * BODY]).await;

    let worker = stage.run(&endpoint).set("broker.in_flight_bytes", "32MiB").ready().await;
    worker.until_processed("revoked", BODIES).await;
    let metrics = worker.until_processed("dead_lettered", BODIES + 1).await;
    assert_eq!(metrics.sum("broker_sessions_total"), 0, "a session ended");
    // A job is counted before its delivery is dropped.
    worker
        .until_metrics("no bytes in flight", |metrics| metrics.value("in_flight_bytes") == 0)
        .await;
    // Each body in flight is in memory twice while it is published, besides the worker's own memory.
    let peak = worker.peak_memory() * 1024;
    println!("peak: {} MiB for {} MiB in all", peak / MIB, (BODIES + 3) * BODY / MIB);
    assert!(peak < 2 * BOUND.max(3 * BODY) + 96 * MIB, "{} MiB were held", peak / MIB);
    worker.stop().await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready as usize, BODIES + 1);
}

/// Jobs whose calls fail use up a lane's bytes in flight, so that its connection is not read. They are parked with
/// their history, long before their hold, and the job behind them is done.
#[tokio::test(flavor = "multi_thread")]
async fn failing_jobs_that_use_up_the_bytes_in_flight_are_parked_and_the_next_is_done() {
    // Three of these use up a lane's half of the bound.
    const HEADERS: usize = 100_000;
    const FAILING: usize = 6;
    const IN_FLIGHT: usize = 3;
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let healthy = token(FAILING);
    let only = healthy.clone();
    let endpoint =
        Endpoint::start(
            move |call| {
                if call.token == only { Answer::revoked() } else { Answer::status(503) }
            },
        )
        .await;
    let mut raw = stage.raw().await;
    let value = [b"S", &long(&vec![b'h'; HEADERS])[..]].concat();
    let properties = Properties::of_a_job().headers(&entry(b"filler", &value));
    for n in 0..FAILING {
        raw.publish(BULK, &properties, &Message::job(&token(n)).body).await;
    }
    stage.amqp.publish(BULK, Message::job(&healthy)).await;
    let worker = stage
        .run(&endpoint)
        .set("broker.in_flight_bytes", "32MiB")
        .set("retry.hold", "10m")
        .set("retry.park", "10m")
        .set("flow.pause.after_failures", 10_000)
        .ready()
        .await;
    worker.until_processed("revoked", 1).await;
    // A delivery is dropped before its job is counted.
    let parked = r#"deferrals_total{how="parked",lane="bulk"}"#;
    let room = FAILING - IN_FLIGHT;
    let metrics = worker
        .until_metrics("failing jobs to make room", |metrics| metrics.value(parked) >= room)
        .await;
    assert_eq!(metrics.sum("broker_sessions_total"), 0, "a session ended");
    worker.stop().await;
    let letters = stage.amqp.take_all("revocations.retry.bulk.10m").await;
    assert!(letters.len() >= room, "{}", letters.len());
    for letter in letters {
        assert!(letter.int("x-revoker-attempts") > Some(0));
        assert!(letter.header("x-revoker-first-failed-at").is_some());
    }
}
