//! Scenario k: replicas that share one rate, one of which is killed, and two of which are added.

use std::time::{Duration, Instant};

use revoker::domain::Lane;
use tokio::time::sleep;

use super::{
    super::{Fallible, figures::number, scene::Stage},
    Row,
    backend::{Act, Record},
    place::{Place, tokens},
};

/// Calls per second, of all replicas together.
const RATE: f64 = 200.0;

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(20);

/// Replicas at the start, and those that are added.
const REPLICAS: usize = 3;
const ADDED: usize = 2;

/// The duration of each number of replicas: the time to return to the rate, and a window.
const PHASE: Duration = Duration::from_secs(15);

/// No window of this length has more calls than the rate allows.
const WINDOW: Duration = Duration::from_secs(5);

/// More jobs than the rate allows in all phases.
const JOBS: u32 = 12_000;

/// The aim after each change.
const AIM_BACK: f64 = 0.9;

/// Measures it, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let place = Place::set(stage, &["shop"], Box::new(|_| (Act::Revoke, LATENCY))).await?;
    place.publish(Lane::Bulk, tokens("shop", JOBS)).await?;
    let rate = RATE.to_string();
    let settings = [("flow.rate", rate.as_str()), ("flow.rate_scope", "fleet")];
    let mut workers = Vec::new();
    for _ in 0..REPLICAS {
        match place.start(stage, &settings).await {
            Ok(worker) => workers.push(worker),
            Err(error) if Row::is_unknown_key(&error, "flow.rate_scope") => {
                place.strike(workers).await?;
                return Ok(vec![Row::skipped(scenario(), "flow.rate_scope")]);
            }
            Err(error) => return Err(error),
        }
    }
    sleep(PHASE).await;
    drop(workers.pop());
    let killed = Instant::now();
    sleep(PHASE).await;
    let added = Instant::now();
    for _ in 0..ADDED {
        workers.push(place.start(stage, &settings).await?);
    }
    sleep(PHASE.saturating_sub(added.elapsed())).await;
    let records = place.backend.records().clone();
    place.strike(workers).await?;
    let most = most(&records);
    let [before, after_kill, after_addition] =
        [killed, added, added + PHASE].map(|until| of_rate(&records, until));
    let back = [before, after_kill, after_addition].into_iter().all(|ratio| ratio >= AIM_BACK);
    Ok(vec![Row::judged(
        scenario(),
        format!(
            "never above the rate over any {} s; back at {AIM_BACK} of it within {} s",
            WINDOW.as_secs(),
            PHASE.as_secs()
        ),
        format!(
            "{most:.3} of the rate at most; {before:.2} before, {after_kill:.2} and {after_addition:.2} after"
        ),
        most <= 1.0 && back,
    )])
}

fn scenario() -> String {
    format!("{REPLICAS} replicas share {RATE} calls/s, one is killed, {ADDED} are added")
}

/// The most calls that began in any window, as a share of the rate.
fn most(records: &[Record]) -> f64 {
    let mut began: Vec<Instant> = records.iter().map(|call| call.began).collect();
    began.sort_unstable();
    let (mut first, mut most) = (0, 0);
    for (last, at) in began.iter().enumerate() {
        while *at - began[first] >= WINDOW {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    number(most as u64) / (RATE * WINDOW.as_secs_f64())
}

/// Calls that began in the window before `until`, as a share of the rate.
fn of_rate(records: &[Record], until: Instant) -> f64 {
    let within = |at: Instant| at < until && at + WINDOW >= until;
    let count = records.iter().filter(|call| within(call.began)).count();
    number(count as u64) / (RATE * WINDOW.as_secs_f64())
}
