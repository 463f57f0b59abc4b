//! Slow or bad networks that lose no data.

use std::time::Duration;

use super::{broker_by, endpoint_by};
use crate::{
    chaos::{Area, Evidence, Plan, sized},
    harness::relay::{Carried, Line, Relay},
};

/// Runs the connections to the broker and to the endpoint over such a network.
async fn over(fault: &'static str, jobs: usize, line: Line, fired: impl Fn(&Carried) -> Evidence) {
    let mut case = Plan::new(Area::Network, fault).jobs(jobs).begin().await;
    let line = Line { seed: case.chance.u64(..), ..line };
    let to_broker = Relay::open_over(case.stage.broker_address(), line).await;
    let to_endpoint = Relay::open_over(case.endpoint.address(), line).await;
    broker_by(&mut case, &to_broker);
    endpoint_by(&mut case, &to_endpoint);
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_called_for(1.0).await;
    let metrics = worker.metrics().await;
    assert_eq!(metrics.sessions("connection_lost"), 0, "a slow line was taken for a dead one");
    // To the endpoint: there is no more traffic of this kind than the audit waits for.
    let evidence = fired(to_endpoint.carried());
    let _ = fired(to_broker.carried());
    case.close([worker], evidence, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_slices() {
    let line = Line { slice: Some(1), ..Line::default() };
    over("one-byte slices", sized(150, 3_000), line, |carried| {
        assert_eq!(carried.largest(), 1, "bytes travelled together");
        Evidence::of(carried.octets(), "bytes to and from the endpoint, one at a time")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_with_jitter() {
    let (least, jitter) = (Duration::from_millis(10), Duration::from_millis(40));
    let line = Line { latency: Some((least, jitter)), ..Line::default() };
    over("latency of 10 to 50 ms", sized(200, 4_000), line, |carried| {
        assert!(carried.longest() > least + jitter / 4, "{:?} at most", carried.longest());
        Evidence::of(carried.waited(), "pieces delayed on the way to and from the endpoint")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled() {
    let line = Line { rate: Some(32 * 1024), ..Line::default() };
    over("32 KiB/s per connection", sized(300, 3_000), line, |carried| {
        Evidence::of(carried.waited(), "pieces held up on the way to and from the endpoint")
    })
    .await;
}
