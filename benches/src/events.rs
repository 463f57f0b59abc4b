//! The cost of outcome events: the worker without and with them, at an endpoint that answers at once, and at two that take
//! as long as one nearby and one over a wide network. Each is called over HTTPS, as in production, and over plain HTTP, as an
//! endpoint or a proxy on the same machine.

use std::{fmt, time::Duration};

use revoker::{
    domain::{Fingerprint, Lane},
    mock_endpoint::Script,
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Fallible,
    drain::drain,
    figures::median_of,
    https::HttpsFront,
    jobs::outcomes_of,
    scene::{Scene, Stage},
    scrape,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Https,
    Http,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Https => "HTTPS",
            Self::Http => "HTTP",
        })
    }
}

/// One endpoint, and its windows without and with events.
struct Case {
    scheme: Scheme,
    latency: Duration,
    windows: [Vec<Window>; 2],
}

/// Measures all alternately, and reports.
///
/// # Errors
///
/// The measurement fails, a call fails, or a job has no event.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let mut cases: Vec<Case> = [Scheme::Https, Scheme::Http]
        .into_iter()
        .flat_map(|scheme| {
            LATENCIES.map(|latency| Case { scheme, latency, windows: [vec![], vec![]] })
        })
        .collect();
    for repetition in 1..=stage.options.repetitions {
        for Case { scheme, latency, windows } in &mut cases {
            for events in [repetition % 2 == 0, repetition % 2 != 0] {
                let windows = &mut windows[usize::from(events)];
                let window = run(stage, *scheme, *latency, events).await?;
                eprintln!(
                    "{scheme}, {} ms, events: {events}, repetition {repetition}: {:.0}/s, {:.3} CPU s per 10,000",
                    latency.as_millis(),
                    window.throughput,
                    window.cpu
                );
                windows.push(window);
            }
        }
    }
    let mut table =
        Table::new(["endpoint", "a call takes", "events"].into_iter().chain(HEADS_WITH_BROKER));
    for Case { scheme, latency, windows } in &cases {
        for (events, windows) in ["no", "yes"].into_iter().zip(windows) {
            let latency = format!("{} ms", latency.as_millis());
            let row = [scheme.to_string(), latency, events.to_owned()];
            table.row(row.into_iter().chain(Window::cells_with_broker(windows)));
        }
    }
    let jobs = stage.options.scaled(JOBS);
    let verdicts: Vec<_> = cases.iter().map(Case::verdict).collect();
    let verdicts = verdicts.join("\n");
    Ok(format!("### Outcome events\n\n{jobs} jobs.\n\n{table}\n{verdicts}\n"))
}

impl Case {
    /// One sentence on what events cost here.
    fn verdict(&self) -> String {
        let Self { scheme, latency, windows: [without, with] } = self;
        let ratio =
            |figure: fn(&Window) -> f64| median_of(with, figure) / median_of(without, figure);
        let cpu = ratio(|window| window.cpu);
        let rate = ratio(|window| window.throughput);
        format!(
            "- {scheme}, {} ms: {cpu:.2} times the CPU time of a job without an event (aim: at most {AIM}, {}), and \
             {rate:.2} times the rate.",
            latency.as_millis(),
            met(cpu <= AIM),
        )
    }
}

/// A token of 48 characters: authorization servers issue tokens of about this length. The search of a job's id for parts of
/// its token depends on it.
fn token(number: u32) -> String {
    (0..4).map(|part| Fingerprint::of(&format!("{number}-{part}")).to_string()).collect()
}

async fn run(stage: &Stage, scheme: Scheme, latency: Duration, events: bool) -> Fallible<Window> {
    let scene = stage.set(Script { latency, ..Script::default() }).await?;
    let tokens: Vec<_> = (0..stage.options.scaled(JOBS)).map(token).collect();
    scene.jobs.fill(Lane::Bulk, &tokens).await?;
    let mut settings = Vec::new();
    settings.extend(events.then(|| ("outcomes.queue", outcomes_of(scene.family()))));
    match scheme {
        Scheme::Http => drained(stage, scene, &settings, events).await,
        Scheme::Https => {
            let front = HttpsFront::before(&scene).await?;
            settings.extend(front.settings()?);
            tokio::select! {
                window = drained(stage, scene, &settings, events) => window,
                error = front.serve() => Err(error.into()),
            }
        }
    }
}

/// The figures of the worker with these settings. No call may fail, and each job must have its event if there are events.
async fn drained(
    stage: &Stage,
    scene: Scene,
    settings: &[(&str, String)],
    events: bool,
) -> Fallible<Window> {
    let jobs = stage.options.scaled(JOBS);
    let mut worker = stage.start(&scene, settings).await?;
    let window = drain(&mut worker, &scene, jobs).await?;
    let began = Instant::now();
    while events && scene.jobs.events().await? < jobs {
        if began.elapsed() > LIMIT {
            return Err("some events are missing".into());
        }
        sleep(POLL_INTERVAL).await;
    }
    // The last call is counted before its token is revoked.
    let all = scene.ledger().until(|totals| totals.revoked >= u64::from(jobs));
    timeout(LIMIT, all).await.map_err(|_| "some tokens are not revoked")?;
    let mut calls = scrape::nonzero(&worker.metrics().await?, "endpoint_calls_total");
    scene.strike(worker).await?;
    calls.retain(|series| !series.contains("result=\"revoked\""));
    if calls.is_empty() { Ok(window) } else { Err(format!("calls failed: {calls:?}").into()) }
}
