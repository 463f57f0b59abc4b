//! An endpoint that answers at once: measures the cost of a job, and the worker's own part of it.
//!
//! Three reference programs run separately: the bare HTTP client and the bare consumer, which each do half of the work,
//! and a plain worker, which does both without guarantees.

use std::time::Duration;

use revoker::{domain::Lane, mock_endpoint::Script};

use super::{
    Fallible, command,
    drain::drain,
    figures::median_of,
    plain::Plain,
    scene::{Scene, Stage},
    table::{Table, met},
    window::{HEADS_WITH_BROKER, Window},
};

/// Jobs of each measurement.
const JOBS: u32 = 60_000;

/// Calls at a time, or deliveries in flight, of the references: the worker's own limit.
const AT_A_TIME: u32 = 256;

/// The share of slow calls, and their latency.
const STRAGGLERS: f64 = 0.001;
const STRAGGLER: Duration = Duration::from_secs(10);

/// The aims: this many times the CPU time of client and consumer together, and of the plain worker.
const AIM_OF_LIMIT: f64 = 1.25;
const AIM_OF_PLAIN: f64 = 0.85;

/// The aims: this many times the rate and the memory of the plain worker.
const AIM_RATE: f64 = 1.25;
const AIM_RSS: f64 = 1.3;

/// The program that does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Worker,
    WithStragglers,
    PlainWorker,
    BareClient,
    BareConsumer,
}

const SIDES: [Side; 5] =
    [Side::Worker, Side::WithStragglers, Side::PlainWorker, Side::BareClient, Side::BareConsumer];

/// Measures every side alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let mut runs = SIDES.map(|side| (side, Vec::new()));
    for repetition in 1..=stage.options.repetitions {
        for (side, runs) in &mut runs {
            let window = run(stage, *side).await?;
            eprintln!(
                "speed, repetition {repetition}, {}: {:.0}/s, {:.3} CPU s per 10,000",
                side.name(),
                window.throughput,
                window.cpu
            );
            runs.push(window);
        }
    }
    Ok(report(stage, &runs))
}

async fn run(stage: &Stage, side: Side) -> Fallible<Window> {
    let jobs = stage.options.scaled(JOBS);
    let script = match side {
        Side::WithStragglers => {
            Script { slow_share: STRAGGLERS, slow_latency: STRAGGLER, ..Script::default() }
        }
        _ => Script::default(),
    };
    let scene = stage.set(script).await?;
    if side != Side::BareClient {
        scene.fill(Lane::Bulk, jobs).await?;
    }
    let (broker, queue, count) =
        (stage.options.broker.as_str(), scene.jobs.queue(Lane::Bulk).to_owned(), jobs.to_string());
    let (url, at_a_time) = (scene.url(), AT_A_TIME.to_string());
    let window = match side {
        Side::Worker | Side::WithStragglers => {
            drain(&mut stage.start(&scene, &[]).await?, &scene, jobs).await?
        }
        Side::PlainWorker => {
            let waiting = (&scene.jobs, Lane::Bulk);
            drain(&mut Plain::start(broker, waiting, &url, jobs, AT_A_TIME).await?, &scene, jobs)
                .await?
        }
        Side::BareClient => reference("bare-client", &[&url, &count, &at_a_time], jobs).await?,
        Side::BareConsumer => reference("bare-consumer", &[broker, &queue, &count], jobs).await?,
    };
    check(&scene, side, jobs)?;
    scene.clear().await?;
    Ok(window)
}

/// Runs a reference to its end.
async fn reference(name: &str, arguments: &[&str], jobs: u32) -> Fallible<Window> {
    let taken = command::run(&command::reference(name)?, arguments, &[]).await?;
    if taken.code != Some(0) {
        return Err(format!("{name} ended with {:?}", taken.code).into());
    }
    Ok(Window::of_command(&taken, jobs))
}

/// Checks that each job was called exactly once, if this side makes calls.
fn check(scene: &Scene, side: Side, jobs: u32) -> Fallible<()> {
    let calls = scene.ledger().totals().calls;
    let wanted = if side == Side::BareConsumer { 0 } else { u64::from(jobs) };
    if calls == wanted {
        Ok(())
    } else {
        Err(format!("{}: {calls} calls in place of {wanted}", side.name()).into())
    }
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Worker => "revoker",
            Self::WithStragglers => "revoker, one call in 1,000 takes 10 s",
            Self::PlainWorker => "a plain worker",
            Self::BareClient => "the bare HTTP client",
            Self::BareConsumer => "the bare consumer",
        }
    }
}

fn report(stage: &Stage, runs: &[(Side, Vec<Window>)]) -> String {
    let mut table = Table::new(["who"].into_iter().chain(HEADS_WITH_BROKER));
    for (side, windows) in runs {
        table.row([side.name().to_owned()].into_iter().chain(Window::cells_with_broker(windows)));
    }
    let median = |wanted: Side, figure: fn(&Window) -> f64| {
        let of_side = runs.iter().find(|(side, _)| *side == wanted);
        of_side.map_or(f64::NAN, |(_, windows)| median_of(windows, figure))
    };
    let cpu = |side| median(side, |window| window.cpu);
    let rate = |side| median(side, |window| window.throughput);
    let limit = cpu(Side::BareClient) + cpu(Side::BareConsumer);
    let rss = |side| median(side, |window| window.peak_rss);
    let of_limit = cpu(Side::Worker) / limit;
    let of_plain = cpu(Side::Worker) / cpu(Side::PlainWorker);
    let rate = rate(Side::Worker) / rate(Side::PlainWorker);
    let rss = rss(Side::Worker) / rss(Side::PlainWorker);
    format!(
        "### At full speed\n\n{} jobs; the endpoint answers at once.\n\n{table}\nCPU per job: {of_plain:.2} times the \
         plain worker's (aim: at most {AIM_OF_PLAIN}, {}), and {of_limit:.2} times the bare client's and the bare \
         consumer's together (aim: at most {AIM_OF_LIMIT}, {}). Rate: {rate:.2} times the plain worker's (aim: at least \
         {AIM_RATE}, {}). Memory: {rss:.2} times the plain worker's (aim: at most {AIM_RSS}, {}).\n",
        stage.options.scaled(JOBS),
        met(of_plain <= AIM_OF_PLAIN),
        met(of_limit <= AIM_OF_LIMIT),
        met(rate >= AIM_RATE),
        met(rss <= AIM_RSS),
    )
}
