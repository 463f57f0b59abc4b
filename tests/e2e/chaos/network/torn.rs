//! Connections that are reset in the middle of a message.

use super::{broker_by, endpoint_by};
use crate::{
    chaos::{Area, Evidence, Plan, sized},
    harness::relay::{Frame, Relay, Way},
};

/// Half of a delivery, half of an ack, half of a dead letter, in turn: the rest never comes.
#[tokio::test(flavor = "multi_thread")]
async fn reset_in_the_middle_of_a_frame() {
    const FRAMES: [(Way, Frame); 3] = [
        (Way::FromTarget, Frame::Body),
        (Way::ToTarget, Frame::Method),
        (Way::ToTarget, Frame::Body),
    ];
    let (jobs, rounds) = sized((900, 2), (20_000, 20));
    let mut case = Plan::new(Area::Network, "broker: reset in mid-frame").jobs(jobs).begin().await;
    let relay = Relay::open(case.stage.broker_address()).await;
    broker_by(&mut case, &relay);
    // The longest allowed: a publisher that detects a loss only by this time-out would hang.
    case.launch = case.launch.set("broker.confirm_timeout", "60s");
    let times = rounds * FRAMES.len();
    let share = case.part(1.0) / (times + 1);
    case.script.hold_after(share);
    case.publish_all().await;
    let worker = case.ready().await;
    let mut cut = 0;
    for (way, frame) in FRAMES.iter().cycle().take(times) {
        // Each cut has its own share of the work, so that messages are left to cut.
        case.endpoint.until_count(share * (cut + 1) + case.calls_at_a_time()).await;
        relay.tear(*way, *frame);
        case.script.hold_after(share * (cut + 2));
        let torn = relay.torn().await;
        assert!((8..torn.length).contains(&torn.passed), "not in its middle: {torn:?}");
        cut += 1;
    }
    case.script.release();
    let evidence = Evidence::of(cut, "frames of deliveries, acks and dead letters cut in two")
        .and(worker.metrics().await.sessions("connection_lost"), "sessions lost");
    // Each cut ends the connection of one lane at most.
    let bound = case.in_flight_of(times);
    case.close([worker], evidence, bound).await;
}

/// All connections to the endpoint are reset at once, repeatedly, while answers are in flight.
#[tokio::test(flavor = "multi_thread")]
async fn calls_are_reset_under_way() {
    let (jobs, times) = sized((400, 4), (10_000, 60));
    let mut case =
        Plan::new(Area::Network, "endpoint: all connections reset").jobs(jobs).begin().await;
    // Each new hold answers the calls that were held, on top of its share.
    let share = jobs / (times + 1) - case.calls_at_a_time();
    let relay = Relay::open(case.endpoint.address()).await;
    endpoint_by(&mut case, &relay);
    case.script.hold_after(share);
    case.publish_all().await;
    let worker = case.ready().await;
    for _ in 0..times {
        // From here on a call is in flight, until the next share is released.
        case.script.until_held().await;
        let before = worker.metrics().await.calls("reset");
        relay.reset();
        worker.until_metrics("a broken call", |now| now.calls("reset") > before).await;
        case.script.hold_after_another(share);
    }
    case.script.release();
    let broken = worker.metrics().await.calls("reset");
    let bound = case.in_flight_at(times);
    case.close([worker], Evidence::of(broken, "calls that ended as `reset`"), bound).await;
}
