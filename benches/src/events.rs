//! The cost of outcome events: the worker without and with them, at an endpoint that answers at once, and at two that take
//! as long as one nearby and one over a wide network.

use std::time::Duration;

use revoker::{domain::Lane, mock_endpoint::Script};
use tokio::time::{Instant, sleep};

use super::{
    Fallible,
    drain::drain,
    figures::median_of,
    jobs::outcomes_of,
    scene::Stage,
    table::{Table, met},
    window::{HEADS_WITH_BROKER, Window},
};

/// Jobs of each measurement.
const JOBS: u32 = 60_000;

/// The aim: this many times the CPU time of a job without an event.
const AIM: f64 = 1.5;

/// The poll interval for the last event, and the limit.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(30);

/// The latencies of a call.
const LATENCIES: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(50)];

/// Measures all alternately, and reports.
///
/// # Errors
///
/// The measurement fails, or a job has no event.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let mut table = Table::new(["a call takes", "events"].into_iter().chain(HEADS_WITH_BROKER));
    let mut verdicts = Vec::new();
    for latency in LATENCIES {
        let [without, with] = compare(stage, latency).await?;
        let millis = format!("{} ms", latency.as_millis());
        for (events, windows) in [("no", &without), ("yes", &with)] {
            let row = [millis.clone(), events.to_owned()];
            table.row(row.into_iter().chain(Window::cells_with_broker(windows)));
        }
        let ratio =
            |figure: fn(&Window) -> f64| median_of(&with, figure) / median_of(&without, figure);
        let cpu = ratio(|window| window.cpu);
        let rate = ratio(|window| window.throughput);
        verdicts.push(format!(
            "- A call of {millis}: {cpu:.2} times the CPU time of a job without an event (aim: at most {AIM}, {}), and \
             {rate:.2} times the rate.",
            met(cpu <= AIM),
        ));
    }
    let jobs = stage.options.scaled(JOBS);
    let verdicts = verdicts.join("\n");
    Ok(format!("### Outcome events\n\n{jobs} jobs.\n\n{table}\n{verdicts}\n"))
}

/// The windows without and with events.
async fn compare(stage: &Stage, latency: Duration) -> Fallible<[Vec<Window>; 2]> {
    let mut windows = [Vec::new(), Vec::new()];
    for repetition in 1..=stage.options.repetitions {
        for (events, windows) in [false, true].into_iter().zip(&mut windows) {
            let window = run(stage, latency, events).await?;
            eprintln!(
                "events ({events}), {} ms, repetition {repetition}: {:.0}/s, {:.3} CPU s per 10,000",
                latency.as_millis(),
                window.throughput,
                window.cpu
            );
            windows.push(window);
        }
    }
    Ok(windows)
}

async fn run(stage: &Stage, latency: Duration, events: bool) -> Fallible<Window> {
    let jobs = stage.options.scaled(JOBS);
    let scene = stage.set(Script { latency, ..Script::default() }).await?;
    scene.fill(Lane::Bulk, jobs).await?;
    let queue = ("outcomes.queue", outcomes_of(scene.family()));
    let settings = if events { vec![queue] } else { Vec::new() };
    let mut worker = stage.start(&scene, &settings).await?;
    let window = drain(&mut worker, &scene, jobs).await?;
    let began = Instant::now();
    while events && scene.jobs.events().await? < jobs {
        if began.elapsed() > LIMIT {
            return Err("some events are missing".into());
        }
        sleep(POLL_INTERVAL).await;
    }
    scene.strike(worker).await?;
    Ok(window)
}
