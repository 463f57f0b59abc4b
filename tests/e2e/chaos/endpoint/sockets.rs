//! Connections that are refused, reset, or get no answer.

use std::time::Duration;

use super::{EndpointFault, fault::pausing_soon};
use crate::{
    chaos::{Area, Plan, sized},
    harness::{Answer, Launch, relay::Relay},
};

/// The limit of a call where calls are meant to exceed it.
const TIMEOUT: &str = "4s";
/// The pause between two bytes of an answer. With some three hundred bytes, it exceeds the limit.
const PAUSE: Duration = Duration::from_millis(100);

const REFUSED: EndpointFault =
    EndpointFault { fault: "connections refused", answer: |_| Answer::Reset, result: "connect" };
const SILENT: EndpointFault =
    EndpointFault { fault: "accepts and hangs", answer: |_| Answer::Never, result: "timeout" };
const SLOW: EndpointFault = EndpointFault {
    fault: "answers byte by byte, too slowly",
    answer: |_| Answer::revoked().dripping(PAUSE),
    result: "timeout",
};
pub const RESETS: EndpointFault =
    EndpointFault { fault: "resets after the request", answer: |_| Answer::Reset, result: "reset" };

fn short_of_time(launch: Launch) -> Launch {
    launch.set("endpoint.timeout", TIMEOUT).set("endpoint.connect_timeout", TIMEOUT)
}

#[tokio::test(flavor = "multi_thread")]
async fn refused() {
    let plan = Plan::new(Area::Endpoint, REFUSED.fault).jobs(sized(300, 5_000));
    let mut case = plan.begin().await;
    let mut way = Relay::open(case.endpoint.address()).await;
    let url = format!("http://{}/revoke", way.address());
    case.launch = pausing_soon(case.launch).set("endpoint.url", url);
    case.hold_at(1.0 / 3.0);
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_held_at(1.0 / 3.0).await;
    way.closed().await;
    case.script.release();
    let evidence = REFUSED.until_paused(&worker).await;
    way.reopen().await;
    let bound = case.in_flight_at(1);
    case.close([worker], evidence, bound).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn hangs() {
    SILENT.outlast_with(short_of_time, async |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn answers_too_slowly() {
    SLOW.outlast_with(short_of_time, async |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn resets() {
    RESETS.outlast().await;
}
