//! An endpoint with latency: compares the worker with the bound of its concurrency limit, and with the plain worker.

use std::time::Duration;

use revoker::{domain::Lane, mock_endpoint::Script};

use super::{
    Fallible,
    drain::{Drain, whole_drain},
    figures::median_of,
    plain::Plain,
    scene::Stage,
    table::{Table, met},
    window::{HEADS_WITH_BROKER, Window},
};

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(50);

/// Calls at a time, with twice as many deliveries in flight.
const AT_A_TIME: [u32; 2] = [256, 1000];

/// The aims: the shares of the bound, and of the plain worker's rate and memory.
const AIM_OF_BOUND: f64 = 0.95;
const AIM_RATE: f64 = 1.0;
const AIM_RSS: f64 = 1.3;

/// The number of jobs, and whether they are measured repeatedly.
#[derive(Debug)]
pub struct Size {
    jobs: u32,
    is_repeated: bool,
}

/// A backlog of seconds.
pub const SHORT: Size = Size { jobs: 30_000, is_repeated: true };

/// A backlog of minutes.
pub const LONG: Size = Size { jobs: 1_000_000, is_repeated: false };

/// The program that does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Worker,
    PlainWorker,
}

/// The drains of one side with this many calls at a time.
struct Runs {
    at_a_time: u32,
    side: Side,
    drains: Vec<Drain>,
}

/// Measures both sides alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage, size: &Size) -> Fallible<String> {
    let jobs = stage.options.scaled(size.jobs);
    let sides = [Side::Worker, Side::PlainWorker];
    let mut runs: Vec<Runs> = AT_A_TIME
        .into_iter()
        .flat_map(|at_a_time| sides.map(|side| Runs { at_a_time, side, drains: Vec::new() }))
        .collect();
    let repetitions = if size.is_repeated { stage.options.repetitions } else { 1 };
    for repetition in 1..=repetitions {
        for Runs { at_a_time, side, drains } in &mut runs {
            let drain = run(stage, *side, *at_a_time, jobs).await?;
            eprintln!(
                "bound, repetition {repetition}, {jobs} jobs, {at_a_time} at a time, {}: {:.0} jobs/s, {:.3} CPU s per \
                 10,000",
                side.name(),
                drain.middle.throughput,
                drain.middle.cpu
            );
            drains.push(drain);
        }
    }
    Ok(report(jobs, &runs))
}

async fn run(stage: &Stage, side: Side, at_a_time: u32, jobs: u32) -> Fallible<Drain> {
    let scene = stage.set(Script { latency: LATENCY, ..Script::default() }).await?;
    scene.fill(Lane::Bulk, jobs).await?;
    let drain = match side {
        Side::Worker => {
            let keys = [
                ("flow.concurrency.max", at_a_time.to_string()),
                ("broker.prefetch", (2 * at_a_time).to_string()),
            ];
            whole_drain(&mut stage.start(&scene, &keys).await?, &scene, jobs).await?
        }
        Side::PlainWorker => {
            let (broker, waiting) = (stage.options.broker.as_str(), (&scene.jobs, Lane::Bulk));
            let mut plain = Plain::start(broker, waiting, &scene.url(), jobs, at_a_time).await?;
            whole_drain(&mut plain, &scene, jobs).await?
        }
    };
    scene.clear().await?;
    Ok(drain)
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Worker => "revoker",
            Self::PlainWorker => "a plain worker",
        }
    }
}

impl Runs {
    /// The most jobs per second with this many parallel calls.
    fn bound(&self) -> f64 {
        f64::from(self.at_a_time) / LATENCY.as_secs_f64()
    }

    fn median(&self, figure: impl Fn(&Drain) -> f64) -> f64 {
        median_of(&self.drains, figure)
    }

    fn cells(&self) -> impl Iterator<Item = String> {
        let share = self.median(|drain| drain.middle.throughput) / self.bound();
        let windows: Vec<Window> = self.drains.iter().map(|drain| drain.middle).collect();
        [
            self.at_a_time.to_string(),
            self.side.name().to_owned(),
            format!("{:.1} %", share * 100.0),
            format!("{:.0}", self.median(|drain| drain.whole)),
        ]
        .into_iter()
        .chain(Window::cells_with_broker(&windows))
    }
}

fn report(jobs: u32, runs: &[Runs]) -> String {
    let heads = ["calls at a time", "who", "of the bound", "jobs/s with the start"];
    let mut table = Table::new(heads.into_iter().chain(HEADS_WITH_BROKER));
    for run in runs {
        table.row(run.cells());
    }
    let verdicts: String = runs.chunks_exact(2).map(|pair| verdict(&pair[0], &pair[1])).collect();
    let latency = LATENCY.as_millis();
    format!("### A call of {latency} ms, {jobs} jobs\n\n{table}\n{verdicts}")
}

/// The worker with this many calls at a time beside the plain worker.
fn verdict(ours: &Runs, plain: &Runs) -> String {
    let times = |figure: fn(&Drain) -> f64| ours.median(figure) / plain.median(figure);
    let (rate, whole) = (times(|drain| drain.middle.throughput), times(|drain| drain.whole));
    let (cpu, rss) = (times(|drain| drain.middle.cpu), times(|drain| drain.middle.peak_rss));
    let of_bound = ours.median(|drain| drain.middle.throughput) / ours.bound();
    format!(
        "{} at a time: {:.1} % of the bound (aim: at least {:.0} %, {}); of the plain worker's: rate {rate:.2} (aim: at \
         least {AIM_RATE}, {}), with the start {whole:.2}, CPU {cpu:.2}, memory {rss:.2} (aim: at most {AIM_RSS}, {}).\n",
        ours.at_a_time,
        of_bound * 100.0,
        AIM_OF_BOUND * 100.0,
        met(of_bound >= AIM_OF_BOUND),
        met(rate >= AIM_RATE),
        met(rss <= AIM_RSS),
    )
}
