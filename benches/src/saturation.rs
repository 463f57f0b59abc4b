//! An endpoint that handles a number of parallel calls and answers 429 beyond it: compares the adaptive limit with the
//! best fixed limit.

use std::time::Duration;

use revoker::{domain::Lane, mock_endpoint::Script};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Fallible,
    figures::{median_of, number},
    scene::Stage,
    scrape,
    table::{Table, met},
    window::{HEADS, Snapshot, Window},
};

/// Calls at a time that the endpoint handles.
pub const CAPACITY: usize = 40;

/// The least latency of a call, and the largest random addition.
const LATENCY: Duration = Duration::from_millis(20);
const LATENCY_JITTER: Duration = Duration::from_millis(30);

/// The fixed limits to compare with.
const FIXED: [usize; 5] = [10, 20, 40, 80, 160];

/// The number of calls at the start. Later calls are measured.
const START: u32 = 2000;

/// How long the start may take: a worker that pauses is measured as well.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The measured time.
const WINDOW: Duration = Duration::from_secs(7);

/// The aims: at least this share of the best fixed limit's throughput, and at most this share of 429.
const AIM_OF_BEST: f64 = 0.90;
const AIM_THROTTLED: f64 = 0.02;

/// A setting of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The default.
    Adaptive,
    /// A fixed number of parallel calls.
    Fixed(usize),
}

/// The results of one repetition.
#[derive(Debug)]
pub struct Run {
    /// After the start.
    pub window: Window,
    /// The number of 429 answers during the start.
    throttled_at_start: f64,
    /// The duration of the start, in seconds.
    start: f64,
    /// The number of pauses of the worker in total.
    pauses: f64,
    /// The number of parked jobs in total.
    parked: f64,
    /// The limit at the end.
    limit: f64,
}

/// Measures every setting alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let settings: Vec<Setting> =
        [Setting::Adaptive].into_iter().chain(FIXED.map(Setting::Fixed)).collect();
    let mut runs: Vec<(Setting, Vec<Run>)> = settings.iter().map(|of| (*of, Vec::new())).collect();
    // Alternately, so that other load of the machine affects all settings equally.
    for repetition in 1..=stage.options.repetitions {
        for (setting, runs) in &mut runs {
            let run = run(stage, *setting).await?;
            eprintln!(
                "saturation, repetition {repetition}, {}: {:.0} jobs/s, {:.1} % of 429",
                setting.name(),
                run.window.throughput,
                run.window.throttled * 100.0
            );
            runs.push(run);
        }
    }
    Ok(report(stage, &runs))
}

/// Measures one setting once.
///
/// # Errors
///
/// The measurement fails.
pub async fn run(stage: &Stage, setting: Setting) -> Fallible<Run> {
    let script = Script {
        latency: LATENCY,
        latency_jitter: LATENCY_JITTER,
        max_parallel: Some(CAPACITY),
        ..Script::default()
    };
    let window = stage.options.scaled_time(WINDOW);
    let start_calls = stage.options.scaled(START);
    let scene = stage.set(script).await?;
    scene.fill(Lane::Bulk, start_calls + most_in(window)).await?;
    let mut worker = stage.start(&scene, &setting.keys()).await?;
    let ledger = scene.ledger();

    let began = Instant::now();
    let started = ledger.until(|totals| totals.calls >= start_calls.into());
    // A worker that does not get that far is paused, or as slow as its limit.
    let _ = timeout(START_LIMIT, started).await;
    let start = began.elapsed();
    let before = Snapshot::take(ledger, &mut worker)?;
    sleep(window).await;
    let after = Snapshot::take(ledger, &mut worker)?;
    let metrics = worker.metrics().await?;
    let pauses = worker.pauses();
    scene.strike(worker).await?;
    Ok(Run {
        window: Window::between(&before, &after),
        throttled_at_start: number(before.totals.throttled),
        start: start.as_secs_f64(),
        pauses: number(pauses as u64),
        parked: scrape::sum(&metrics, "deferrals_total", "how=\"parked\""),
        limit: scrape::sum(&metrics, "concurrency_limit", ""),
    })
}

/// More jobs than the endpoint can handle in this time, so that the lane does not run empty.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some thousands, and not negative"
)]
fn most_in(window: Duration) -> u32 {
    (window.div_duration_f64(LATENCY).ceil() as u32) * CAPACITY as u32
}

impl Setting {
    fn name(self) -> String {
        match self {
            Self::Adaptive => "adaptive (the default)".to_owned(),
            Self::Fixed(limit) => format!("fixed at {limit}"),
        }
    }

    fn keys(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Adaptive => Vec::new(),
            Self::Fixed(limit) => vec![
                ("flow.concurrency.adaptive", false.to_string()),
                ("flow.concurrency.max", limit.to_string()),
            ],
        }
    }
}

/// The tokens revoked per second.
fn throughput(runs: &[Run]) -> f64 {
    median_of(runs, |run| run.window.throughput)
}

fn report(stage: &Stage, runs: &[(Setting, Vec<Run>)]) -> String {
    let fixed = runs.iter().filter(|(setting, _)| *setting != Setting::Adaptive);
    let best = fixed.map(|(_, runs)| throughput(runs)).fold(0.0, f64::max);
    let mut verdict = String::new();
    let mut table = Table::new(
        [
            "limit",
            "of the best fixed",
            "429 after the start",
            "429 in the start",
            "start, s",
            "limit at the end",
            "pauses",
            "parked",
        ]
        .into_iter()
        .chain(HEADS),
    );
    for (setting, runs) in runs {
        let of_best = throughput(runs) / best;
        let throttled = median_of(runs, |run| run.window.throttled);
        let cells = [
            setting.name(),
            format!("{:.1} %", of_best * 100.0),
            format!("{:.2} %", throttled * 100.0),
            format!("{:.0}", median_of(runs, |run| run.throttled_at_start)),
            format!("{:.1}", median_of(runs, |run| run.start)),
            format!("{:.0}", median_of(runs, |run| run.limit)),
            format!("{:.0}", median_of(runs, |run| run.pauses)),
            format!("{:.0}", median_of(runs, |run| run.parked)),
        ];
        let windows: Vec<Window> = runs.iter().map(|run| run.window).collect();
        table.row(cells.into_iter().chain(Window::cells(&windows)));
        if *setting == Setting::Adaptive {
            verdict = judge(of_best, throttled);
        }
    }
    format!(
        "### A saturating endpoint\n\n{CAPACITY} calls at a time, of {} to {} ms; 429 beyond. Measured for {:.1} s \
         after the first {} calls.\n\n{table}\n{verdict}\n",
        LATENCY.as_millis(),
        (LATENCY + LATENCY_JITTER).as_millis(),
        stage.options.scaled_time(WINDOW).as_secs_f64(),
        stage.options.scaled(START),
    )
}

/// The aim, and whether it is met.
fn judge(of_best: f64, throttled: f64) -> String {
    format!(
        "Adaptive: {:.1} % of the best fixed limit (aim: at least {:.0} %, {}), and {:.2} % of 429 after the start \
         (aim: below {:.0} %, {}).",
        of_best * 100.0,
        AIM_OF_BEST * 100.0,
        met(of_best >= AIM_OF_BEST),
        throttled * 100.0,
        AIM_THROTTLED * 100.0,
        met(throttled < AIM_THROTTLED),
    )
}
