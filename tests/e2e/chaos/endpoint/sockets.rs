//! Connections that are refused, reset, or lead nowhere.

use std::time::Duration;

use super::{Weather, weather::impatient};
use crate::{
    chaos::{Area, Plan, sized},
    harness::{Answer, Launch, relay::Relay},
};

/// The limit of a call where calls are meant to exceed it.
const TIMEOUT: &str = "4s";
/// Between two bytes of an answer that takes longer than that: it has some three hundred.
const PAUSE: Duration = Duration::from_millis(100);

const REFUSED: Weather =
    Weather { fault: "connections refused", answer: |_| Answer::Reset, result: "connect" };
const SILENT: Weather =
    Weather { fault: "accepts and hangs", answer: |_| Answer::Never, result: "timeout" };
const SLOW: Weather = Weather {
    fault: "answers byte by byte, too slowly",
    answer: |_| Answer::revoked().dripping(PAUSE),
    result: "timeout",
};
pub const RESETS: Weather =
    Weather { fault: "resets after the request", answer: |_| Answer::Reset, result: "reset" };

fn short_of_time(launch: Launch) -> Launch {
    launch.set("endpoint.timeout", TIMEOUT).set("endpoint.connect_timeout", TIMEOUT)
}

#[tokio::test(flavor = "multi_thread")]
async fn refused() {
    let plan = Plan::new(Area::Endpoint, REFUSED.fault).jobs(sized(300, 5_000));
    let mut trial = plan.begin().await;
    let mut way = Relay::open(trial.endpoint.address()).await;
    let url = format!("http://{}/revoke", way.address());
    trial.launch = impatient(trial.launch).set("endpoint.url", url);
    trial.hold_at(1.0 / 3.0);
    trial.publish_all().await;
    let worker = trial.ready().await;
    trial.until_held_at(1.0 / 3.0).await;
    way.closed().await;
    trial.law.release();
    let evidence = REFUSED.is_met(&worker).await;
    way.reopen().await;
    let bound = trial.in_hand_at(1);
    trial.close([worker], evidence, bound).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn hangs() {
    SILENT.is_outlasted_by(short_of_time, async |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn answers_too_slowly() {
    SLOW.is_outlasted_by(short_of_time, async |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn resets() {
    RESETS.is_outlasted().await;
}
