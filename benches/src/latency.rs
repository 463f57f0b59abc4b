//! From publish to revoked, at a share of the worker's highest rate: measures the time of a job with others in the
//! queue.
//!
//! Open loop: jobs are published when they are due, whether or not earlier ones are done. They are timed from their due
//! time, not from their publish. A publisher that waits would hide the times in which the worker is slow.

use std::time::{Duration, Instant};

use revoker::{domain::Lane, mock_endpoint::Script};
use tokio::time::{sleep_until, timeout};

use super::{
    Fallible,
    figures::{median_of, milliseconds, percentile},
    jobs::confirmed,
    scene::{Scene, Stage},
    table::Table,
    window::{HEADS, Snapshot, Window},
    worker::Worker,
};

/// Jobs that are published as fast as they are confirmed, to find the highest rate.
const FLOOD: u32 = 40_000;

/// The shares of it, in percent.
const SHARES: [u32; 3] = [10, 50, 80];

/// How long each share is published for.
const TIME: Duration = Duration::from_secs(6);

/// How long the last jobs may take.
const END_LIMIT: Duration = Duration::from_secs(60);

/// The results of one repetition at one share.
#[derive(Debug)]
struct Run {
    p50: f64,
    p99: f64,
    p999: f64,
    window: Window,
}

/// Measures all shares alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let most = flood(stage).await?;
    eprintln!("latency: {most:.0} jobs/s get through at most");
    let mut runs = SHARES.map(|share| (share, Vec::new()));
    for repetition in 1..=stage.options.repetitions {
        for (share, runs) in &mut runs {
            let run = run(stage, most * f64::from(*share) / 100.0).await?;
            eprintln!(
                "latency, repetition {repetition}, {share} %: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms",
                run.p50, run.p99, run.p999
            );
            runs.push(run);
        }
    }
    Ok(report(most, &runs))
}

/// The most jobs per second that get from a producer to the endpoint, with producer, broker, worker and endpoint on
/// this machine.
async fn flood(stage: &Stage) -> Fallible<f64> {
    let jobs = stage.options.scaled(FLOOD);
    let (scene, worker) = set(stage).await?;
    let began = Instant::now();
    scene.fill(Lane::Interactive, jobs).await?;
    timeout(END_LIMIT, scene.ledger().until(|totals| totals.revoked >= jobs.into()))
        .await
        .map_err(|_| "some jobs are not revoked")?;
    let most = f64::from(jobs) / began.elapsed().as_secs_f64();
    scene.strike(worker).await?;
    Ok(most)
}

async fn set(stage: &Stage) -> Fallible<(Scene, Worker)> {
    let scene = stage.set(Script::default()).await?;
    let worker = stage.start(&scene, &[]).await?;
    Ok((scene, worker))
}

async fn run(stage: &Stage, rate: f64) -> Fallible<Run> {
    let (scene, mut worker) = set(stage).await?;
    let before = Snapshot::take(scene.ledger(), &mut worker)?;
    let due = publish(&scene, rate, stage.options.scaled_time(TIME)).await?;
    let mut times = Vec::with_capacity(due.len());
    for (number, due) in due.iter().enumerate() {
        times.push(scene.proved(&token(number)).await?.saturating_duration_since(*due));
    }
    let after = Snapshot::take(scene.ledger(), &mut worker)?;
    scene.strike(worker).await?;
    times.sort_unstable();
    Ok(Run {
        p50: milliseconds(percentile(&times, 50.0)),
        p99: milliseconds(percentile(&times, 99.0)),
        p999: milliseconds(percentile(&times, 99.9)),
        window: Window::between(&before, &after),
    })
}

/// Publishes at this rate for this time. Returns the due time of each job.
async fn publish(scene: &Scene, rate: f64, time: Duration) -> Fallible<Vec<Instant>> {
    let (mut due, mut confirms) = (Vec::new(), Vec::new());
    let began = Instant::now();
    let apart = Duration::from_secs_f64(1.0 / rate);
    let mut next = began;
    while next < began + time {
        if next > Instant::now() {
            sleep_until(next.into()).await;
        }
        confirms.push(scene.jobs.publish(Lane::Interactive, &token(due.len())).await?);
        due.push(next);
        next += apart;
    }
    confirmed(confirms).await?;
    Ok(due)
}

fn token(number: usize) -> String {
    format!("open-{number}")
}

fn report(most: f64, runs: &[(u32, Vec<Run>)]) -> String {
    let heads = ["share of the most", "p50, ms", "p99, ms", "p99.9, ms"];
    let mut table = Table::new(heads.into_iter().chain(HEADS));
    for (share, runs) in runs {
        let cells = [
            format!("{share} %"),
            format!("{:.1}", median_of(runs, |run| run.p50)),
            format!("{:.1}", median_of(runs, |run| run.p99)),
            format!("{:.1}", median_of(runs, |run| run.p999)),
        ];
        let windows: Vec<Window> = runs.iter().map(|run| run.window).collect();
        table.row(cells.into_iter().chain(Window::cells(&windows)));
    }
    format!(
        "### From publish to revoked\n\n{most:.0} jobs/s get through at most, with the producer on this machine; the \
         endpoint answers at once.\n\n{table}"
    )
}
