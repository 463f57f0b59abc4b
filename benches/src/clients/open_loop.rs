//! Scenario j: jobs are published when they are due, at a share of the highest rate. Measures the time of a job,
//! compared with the plain worker at the same rates.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use revoker::domain::Lane;
use tokio::time::sleep_until;

use super::{
    super::{
        Fallible,
        figures::{milliseconds, percentile},
        jobs::confirmed,
        scene::Stage,
    },
    Row,
    backend::Act,
    place::{Place, tokens},
};

/// Jobs that are published as fast as the broker accepts them, to find the highest rate.
const FLOOD: u32 = 30_000;

/// The shares of it, in percent.
const SHARES: [u32; 3] = [10, 50, 80];

/// How long each is published for.
const TIME: Duration = Duration::from_secs(4);

/// Calls at a time of the plain worker: the worker's own limit.
const AT_A_TIME: u32 = 256;

/// How long the last jobs may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The aim: this many times the plain worker's p99.
const AIM: f64 = 1.2;

/// The program that does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Worker,
    Plain,
}

/// Percentiles of the time from a job's due time to its answer, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Run {
    p50: f64,
    p99: f64,
}

/// Measures all shares with both workers alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let most = flood(stage).await?;
    let mut rows = Vec::new();
    for share in SHARES {
        let rate = most * f64::from(share) / 100.0;
        let ours = run(stage, Side::Worker, rate).await?;
        let plain = run(stage, Side::Plain, rate).await?;
        rows.push(report(share, rate, ours, plain));
    }
    Ok(rows)
}

async fn place(stage: &Stage) -> Fallible<Place> {
    Place::set(stage, &["bench"], Box::new(|_| (Act::Revoke, Duration::ZERO))).await
}

/// The most jobs per second that get through the worker.
async fn flood(stage: &Stage) -> Fallible<f64> {
    let jobs = stage.options.scaled(FLOOD);
    let place = place(stage).await?;
    let worker = place.start(stage, &[]).await?;
    let began = Instant::now();
    place.publish(Lane::Interactive, tokens("bench", jobs)).await?;
    place.backend.until_revoked(jobs.into(), LIMIT).await?;
    let most = f64::from(jobs) / began.elapsed().as_secs_f64();
    place.strike([worker]).await?;
    eprintln!("clients, j: {most:.0} jobs/s get through at most");
    Ok(most)
}

async fn run(stage: &Stage, side: Side, rate: f64) -> Fallible<Run> {
    let place = place(stage).await?;
    let time = stage.options.scaled_time(TIME);
    let (worker, plain) = match side {
        Side::Worker => (Some(place.start(stage, &[]).await?), None),
        Side::Plain => {
            let plain = place.plain(Lane::Interactive, u32::MAX, AT_A_TIME).await?;
            (None, Some(plain))
        }
    };
    let due = publish(&place, rate, time).await?;
    place.backend.until_revoked(due.len() as u64, LIMIT).await?;
    let run = measured(&place, &due);
    drop(plain);
    eprintln!("clients, j, {rate:.0}/s, {side:?}: p50 {:.1} ms, p99 {:.1} ms", run.p50, run.p99);
    place.strike(worker).await?;
    Ok(run)
}

/// Publishes at this rate for this time. Returns the due time of each job, by its token.
async fn publish(place: &Place, rate: f64, time: Duration) -> Fallible<HashMap<String, Instant>> {
    let (mut due, mut confirms) = (HashMap::new(), Vec::new());
    let began = Instant::now();
    let apart = Duration::from_secs_f64(1.0 / rate);
    let mut next = began;
    while next < began + time {
        if next > Instant::now() {
            sleep_until(next.into()).await;
        }
        let token = format!("open-{}", due.len());
        confirms.push(place.jobs.publish_for(Lane::Interactive, "bench", &token).await?);
        due.insert(token, next);
        next += apart;
    }
    confirmed(confirms).await?;
    Ok(due)
}

fn measured(place: &Place, due: &HashMap<String, Instant>) -> Run {
    let records = place.backend.records();
    let mut times: Vec<Duration> = records
        .iter()
        .filter_map(|call| Some(call.revoked()?.saturating_duration_since(*due.get(&call.token)?)))
        .collect();
    times.sort_unstable();
    Run { p50: milliseconds(percentile(&times, 50.0)), p99: milliseconds(percentile(&times, 99.0)) }
}

fn report(share: u32, rate: f64, ours: Run, plain: Run) -> Row {
    let ratio = ours.p99 / plain.p99;
    Row {
        scenario: format!("open loop at {share} % of the most ({rate:.0}/s)"),
        aim: format!("p99 at most {AIM} x the plain worker's"),
        figure: format!(
            "{ratio:.2}: p99 {:.1} ms, plain {:.1} ms; p50 {:.1} ms, plain {:.1} ms",
            ours.p99, plain.p99, ours.p50, plain.p50
        ),
        met: Some(ratio <= AIM),
    }
}
