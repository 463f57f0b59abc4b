//! Scenario i: bursts onto an idle worker, beside the plain worker.

use std::time::{Duration, Instant};

use revoker::domain::Lane;

use super::{
    super::{Fallible, scene::Stage},
    Row,
    backend::Act,
    place::{Place, tokens},
};

/// The bursts, and how often each is measured: short ones differ more from time to time.
const BURSTS: [(u32, u32); 3] = [(1000, 3), (10_000, 3), (100_000, 1)];

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(50);

/// Calls at a time, and deliveries in flight.
const SETTINGS: [(u32, u32); 2] = [(256, 512), (1000, 2048)];

/// How long a burst may take.
const LIMIT: Duration = Duration::from_secs(90);

/// The aim: this many times the plain worker's time.
const AIM: f64 = 1.1;

/// Measures all bursts with both workers alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let mut rows = Vec::new();
    for (at_a_time, prefetch) in SETTINGS {
        let mut ratios = Vec::new();
        for (jobs, times) in BURSTS {
            let jobs = stage.options.scaled(jobs);
            let (mut ours, mut plain) = (f64::INFINITY, f64::INFINITY);
            for _ in 0..times {
                ours = ours.min(of_worker(stage, jobs, at_a_time, prefetch).await?);
                plain = plain.min(of_plain(stage, jobs, at_a_time).await?);
            }
            eprintln!("clients, i, {jobs} at {at_a_time}: {ours:.2} s, plain {plain:.2} s");
            ratios.push(ours / plain);
        }
        rows.push(report(stage, at_a_time, &ratios));
    }
    Ok(rows)
}

async fn place(stage: &Stage) -> Fallible<Place> {
    Place::set(stage, &["bench"], Box::new(|_| (Act::Revoke, LATENCY))).await
}

async fn of_worker(stage: &Stage, jobs: u32, at_a_time: u32, prefetch: u32) -> Fallible<f64> {
    let place = place(stage).await?;
    let settings = [
        ("flow.concurrency.max", at_a_time.to_string()),
        ("broker.prefetch", prefetch.to_string()),
    ];
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    let worker = place.start(stage, &settings).await?;
    let took = burst(&place, jobs).await?;
    place.strike([worker]).await?;
    Ok(took)
}

async fn of_plain(stage: &Stage, jobs: u32, at_a_time: u32) -> Fallible<f64> {
    let place = place(stage).await?;
    let plain = place.plain(Lane::Interactive, jobs, at_a_time).await?;
    let took = burst(&place, jobs).await?;
    drop(plain);
    place.strike([]).await?;
    Ok(took)
}

/// From the first publish to the last answer, in seconds.
async fn burst(place: &Place, jobs: u32) -> Fallible<f64> {
    let began = Instant::now();
    place.publish(Lane::Interactive, tokens("bench", jobs)).await?;
    place.backend.until_revoked(jobs.into(), LIMIT).await?;
    let records = place.backend.records();
    let last = records.iter().filter_map(super::backend::Record::revoked).max();
    Ok(last.unwrap_or(began).saturating_duration_since(began).as_secs_f64())
}

fn report(stage: &Stage, at_a_time: u32, ratios: &[f64]) -> Row {
    let bursts = BURSTS.map(|(jobs, _)| stage.options.scaled(jobs).to_string()).join(", ");
    let figures: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    Row {
        scenario: format!("bursts of {bursts} jobs, {at_a_time} at a time"),
        aim: format!("each at most {AIM} x the plain worker's time"),
        figure: figures.join(", "),
        met: Some(ratios.iter().all(|ratio| *ratio <= AIM)),
    }
}
