//! Logouts behind a sweep: measures the time of a logout with and without ten thousands of bulk jobs before it.
//!
//! The logouts come one by one at a steady pace, whether or not earlier ones are done: a client that waits would hide
//! the times in which the worker is slow.

use std::time::{Duration, Instant};

use revoker::{domain::Lane, mock_endpoint::Script};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    Fallible,
    figures::{median_of, milliseconds, number, percentile},
    jobs::confirmed,
    scene::{Scene, Stage},
    scrape,
    table::{Table, met},
    window::{HEADS, Snapshot, Window},
};

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(50);

/// Bulk jobs before the logouts.
const SWEEP: u32 = 50_000;

/// Bulk jobs that are called before the first logout, so that the sweep is under way by then.
const START: u32 = 2000;

/// The time limit of that.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Logouts, and the time between two of them.
const LOGOUTS: u32 = 200;
const PACE: Duration = Duration::from_millis(40);

/// The aim: this many times the call.
const AIM_CALLS: f64 = 3.0;

/// The results of one repetition.
#[derive(Debug)]
struct Run {
    /// From publish to revoked, in milliseconds.
    p50: f64,
    p99: f64,
    worst: f64,
    /// From the first logout to the last one's answer, both lanes.
    window: Window,
    /// Bulk jobs that were not called yet at the end.
    left: f64,
    /// The limit at the end.
    limit: f64,
}

/// Measures both alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let sweep = stage.options.scaled(SWEEP);
    let mut runs = [(sweep, Vec::new()), (0, Vec::new())];
    for repetition in 1..=stage.options.repetitions {
        for (sweep, runs) in &mut runs {
            let run = run(stage, *sweep).await?;
            eprintln!(
                "lanes, repetition {repetition}, behind {sweep}: p50 {:.0} ms, p99 {:.0} ms",
                run.p50, run.p99
            );
            runs.push(run);
        }
    }
    Ok(report(stage, &runs))
}

async fn run(stage: &Stage, sweep: u32) -> Fallible<Run> {
    let scene = stage.set(Script { latency: LATENCY, ..Script::default() }).await?;
    let start = if sweep > 0 { stage.options.scaled(START) } else { 0 };
    scene.fill(Lane::Bulk, start + sweep).await?;
    let mut worker = stage.start(&scene, &[]).await?;
    let ledger = scene.ledger();
    timeout(START_LIMIT, ledger.until(|totals| totals.calls >= start.into()))
        .await
        .map_err(|_| "the sweep does not get under way")?;

    let before = Snapshot::take(ledger, &mut worker)?;
    let logouts = log_out(&scene, stage.options.scaled(LOGOUTS)).await?;
    let mut times = Vec::with_capacity(logouts.len());
    for (token, published) in &logouts {
        times.push(scene.proved(token).await?.saturating_duration_since(*published));
    }
    let after = Snapshot::take(ledger, &mut worker)?;
    let metrics = worker.metrics().await?;
    scene.strike(worker).await?;

    let all = u64::from(start + sweep) + times.len() as u64;
    let left = all - after.totals.revoked;
    if sweep > 0 && left == 0 {
        return Err("the sweep was over before the last logout: nothing stood in its way".into());
    }
    times.sort_unstable();
    Ok(Run {
        p50: milliseconds(percentile(&times, 50.0)),
        p99: milliseconds(percentile(&times, 99.0)),
        worst: milliseconds(percentile(&times, 100.0)),
        window: Window::between(&before, &after),
        left: number(left),
        limit: scrape::sum(&metrics, "concurrency_limit", ""),
    })
}

/// A logout: its token, and when it was published.
type Logout = (String, Instant);

/// Publishes logouts at a steady pace.
async fn log_out(scene: &Scene, count: u32) -> Fallible<Vec<Logout>> {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut logouts, mut confirms) = (Vec::new(), Vec::new());
    for number in 0..count {
        pace.tick().await;
        let token = format!("logout-{number}");
        let published = Instant::now();
        confirms.push(scene.jobs.publish(Lane::Interactive, &token).await?);
        logouts.push((token, published));
    }
    confirmed(confirms).await?;
    Ok(logouts)
}

fn report(stage: &Stage, runs: &[(u32, Vec<Run>)]) -> String {
    let mut verdict = String::new();
    let mut table = Table::new(
        [
            "in front",
            "p50, ms",
            "p99, ms",
            "worst, ms",
            "p99, calls",
            "bulk left",
            "limit at the end",
        ]
        .into_iter()
        .chain(HEADS),
    );
    for (sweep, runs) in runs {
        let p99 = median_of(runs, |run| run.p99);
        let of_call = p99 / milliseconds(LATENCY);
        let cells = [
            if *sweep > 0 { format!("{sweep} bulk jobs") } else { "nothing".to_owned() },
            format!("{:.0}", median_of(runs, |run| run.p50)),
            format!("{p99:.0}"),
            format!("{:.0}", median_of(runs, |run| run.worst)),
            format!("{of_call:.2}"),
            format!("{:.0}", median_of(runs, |run| run.left)),
            format!("{:.0}", median_of(runs, |run| run.limit)),
        ];
        let windows: Vec<Window> = runs.iter().map(|run| run.window).collect();
        table.row(cells.into_iter().chain(Window::cells(&windows)));
        if *sweep > 0 {
            let met = met(of_call < AIM_CALLS);
            verdict = format!(
                "Behind the sweep, p99 is {of_call:.2} times the call (aim: below {AIM_CALLS}, {met})."
            );
        }
    }
    format!(
        "### Logouts behind a sweep\n\n{} logouts, one every {} ms; a call takes {} ms.\n\n{table}\n{verdict}\n",
        stage.options.scaled(LOGOUTS),
        PACE.as_millis(),
        LATENCY.as_millis(),
    )
}
