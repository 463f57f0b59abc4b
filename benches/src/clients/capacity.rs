//! Scenarios c and d: an endpoint with a constant or changing capacity of parallel calls, which answers 429 beyond it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use revoker::domain::Lane;
use tokio::time::sleep;

use super::{
    super::{
        Fallible,
        saturation::{self, Setting},
        scene::Stage,
    },
    Row,
    backend::{Act, Record},
    place::{Place, tokens},
    rate,
};

/// The aims of scenario c: this share of the best fixed limit's throughput, and less than this share of 429.
const AIM_OF_BEST: f64 = 0.95;
const AIM_THROTTLED: f64 = 0.02;

/// The high capacity, before and after the low one.
const HIGH: usize = 200;
const LOW: usize = 20;

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(100);

/// How long each capacity lasts.
const PHASE: Duration = Duration::from_secs(12);

/// More jobs than the three phases can take.
const JOBS: u32 = 52_000;

/// The aims of scenario d: settled within this time, and less than this share of 429 once settled.
const AIM_SETTLED: Duration = Duration::from_secs(5);
const AIM_BETWEEN: f64 = 0.05;

/// A settled limit uses this part of the capacity.
const USED: f64 = 0.9;

/// Scenario c: the table of the bench `saturation`, its adaptive and its best fixed limit alone.
///
/// # Errors
///
/// The measurement fails.
pub async fn constant(stage: &Stage) -> Fallible<Vec<Row>> {
    let best = saturation::run(stage, Setting::Fixed(saturation::CAPACITY)).await?;
    let adaptive = saturation::run(stage, Setting::Adaptive).await?;
    let again = saturation::run(stage, Setting::Fixed(saturation::CAPACITY)).await?;
    let fixed = f64::midpoint(best.window.throughput, again.window.throughput);
    let (of_best, throttled) = (adaptive.window.throughput / fixed, adaptive.window.throttled);
    Ok(vec![Row::judged(
        format!("{} calls at a time, 429 beyond", saturation::CAPACITY),
        format!(
            "at least {AIM_OF_BEST} of the best fixed limit, below {AIM_THROTTLED} of 429 after the start"
        ),
        format!("{of_best:.3} of the best fixed limit, {throttled:.4} of 429"),
        of_best >= AIM_OF_BEST && throttled < AIM_THROTTLED,
    )])
}

/// Scenario d: the capacity falls, and comes back.
///
/// # Errors
///
/// The measurement fails.
pub async fn changing(stage: &Stage) -> Fallible<Vec<Row>> {
    let capacity = Arc::new(AtomicUsize::new(HIGH));
    let of_calls = Arc::clone(&capacity);
    let place = Place::set(
        stage,
        &["shop"],
        Box::new(move |call| {
            if call.parallel > of_calls.load(Ordering::Relaxed) {
                (Act::Reply(429), Duration::ZERO)
            } else {
                (Act::Revoke, LATENCY)
            }
        }),
    )
    .await?;
    place.publish(Lane::Bulk, tokens("shop", JOBS)).await?;
    let worker = place.start(stage, &[]).await?;
    sleep(PHASE / 2).await;
    let half = Instant::now();
    sleep(PHASE / 2).await;
    let before = worker.metric("concurrency_limit", "").await;
    capacity.store(LOW, Ordering::Relaxed);
    let fell = Instant::now();
    sleep(PHASE).await;
    let between = worker.metric("concurrency_limit", "").await;
    capacity.store(HIGH, Ordering::Relaxed);
    let rose = Instant::now();
    sleep(PHASE).await;
    let after = worker.metric("concurrency_limit", "").await;
    eprintln!(
        "clients, d: limit {before}, {between}, {after}; paused {} times, {} parked",
        worker.pauses(),
        worker.metric("deferrals_total", "how=\"parked\"").await
    );
    let records = place.backend.records().clone();
    place.strike([worker]).await?;

    let high = rate::revoked(&records, half, PHASE / 2, |_| true);
    let down = settled(&records, fell, bound(LOW), true);
    let up = settled(&records, rose, bound(HIGH).min(high), false);
    let rest = PHASE.saturating_sub(AIM_SETTLED);
    let throttled = rate::share(&records, fell + AIM_SETTLED, rest, refused);
    let of_bound = high / bound(HIGH);
    let in_time = |time: Option<Duration>| time.is_some_and(|time| time <= AIM_SETTLED);
    Ok(vec![Row::judged(
        format!("the capacity falls from {HIGH} to {LOW} and comes back"),
        format!(
            "settled within {} s each way; below {AIM_BETWEEN} of 429 in between",
            AIM_SETTLED.as_secs()
        ),
        format!(
            "{} and {}; {throttled:.4} of 429 in between; {of_bound:.2} of the bound before",
            told(down),
            told(up)
        ),
        in_time(down) && in_time(up) && throttled < AIM_BETWEEN,
    )])
}

fn refused(call: &Record) -> bool {
    call.act == Act::Reply(429)
}

/// The most calls per second with this many in parallel.
fn bound(capacity: usize) -> f64 {
    f64::from(u32::try_from(capacity).unwrap_or(u32::MAX)) / LATENCY.as_secs_f64()
}

/// How long after `from` a second begins in which most of `bound` is revoked, and few calls are refused if `calm`.
fn settled(records: &[Record], from: Instant, bound: f64, calm: bool) -> Option<Duration> {
    let second = Duration::from_secs(1);
    let mut after = Duration::ZERO;
    while after + second <= PHASE {
        let rate = rate::revoked(records, from + after, second, |_| true);
        let throttled = rate::share(records, from + after, second, refused);
        if rate >= bound * USED && (!calm || throttled < AIM_BETWEEN) {
            return Some(after);
        }
        after += second / 10;
    }
    None
}

fn told(time: Option<Duration>) -> String {
    time.map_or("not settled".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
}
