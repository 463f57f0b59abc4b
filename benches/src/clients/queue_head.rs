//! Scenario e: a thousand jobs of a broken client precede fifty of a healthy one.

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::try_join_all;
use revoker::domain::Lane;

use super::{
    super::{Fallible, scene::Stage},
    Row,
    backend::Act,
    place::{Place, tokens},
};

/// Jobs of the broken client, first, and of the healthy one, after them.
const BROKEN_JOBS: u32 = 1000;
const HEALTHY_JOBS: u32 = 50;

/// How long a healthy call takes.
const LATENCY: Duration = Duration::from_millis(50);

/// How long the healthy jobs may take before the scenario is given up.
const LIMIT: Duration = Duration::from_secs(60);

/// The aim: fewer probes of the broken client than this before the healthy jobs are done.
const AIM: usize = 3;

/// The failures of the broken client's calls. A hanging call is given up after 15 s.
const KINDS: [(&str, Act); 2] =
    [("502 to every call", Act::Reply(502)), ("time-outs of 15 s", Act::Hang)];

/// Measures both at once, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    try_join_all(KINDS.map(|(name, act)| run(stage, name, act))).await
}

async fn run(stage: &Stage, name: &str, act: Act) -> Fallible<Row> {
    let place = Place::set(
        stage,
        &["broken", "healthy"],
        Box::new(move |call| match call.client {
            "broken" => (act, Duration::ZERO),
            _ => (Act::Revoke, LATENCY),
        }),
    )
    .await?;
    place.publish(Lane::Interactive, tokens("broken", BROKEN_JOBS)).await?;
    place.publish(Lane::Interactive, tokens("healthy", HEALTHY_JOBS)).await?;
    let began = Instant::now();
    let worker = place.start(stage, &[]).await?;
    let done = place.backend.until_revoked(HEALTHY_JOBS.into(), LIMIT).await;
    let took = began.elapsed().as_secs_f64();
    let paused = [worker.said("client paused"), worker.said("paused")].concat();
    let probes = probes(&place, paused.iter().min().copied());
    let calls = place.backend.records().iter().filter(|call| call.client == "broken").count();
    place.strike([worker]).await?;
    let healthy = match &done {
        Ok(()) => format!("done after {took:.1} s"),
        Err(error) => error.to_string(),
    };
    Ok(Row {
        scenario: format!(
            "{BROKEN_JOBS} logouts of a client with {name} before {HEALTHY_JOBS} of a healthy one"
        ),
        aim: "the healthy ones done before the broken one's third probe".to_owned(),
        figure: format!("{healthy}; {probes} probes, {calls} calls of the broken one by then"),
        met: Some(done.is_ok() && probes < AIM),
    })
}

/// Calls of the broken client that began after its pause.
fn probes(place: &Place, paused: Option<SystemTime>) -> usize {
    let Some(paused) = paused.map(|at| place.backend.moment(at)) else { return 0 };
    let records = place.backend.records();
    records.iter().filter(|call| call.client == "broken" && call.began > paused).count()
}
