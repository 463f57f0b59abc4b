//! Scenario b: one client of ten always fails. Measures the rate of the other nine, and the time until its own jobs are
//! done after it recovers.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use revoker::domain::Lane;
use tokio::time::sleep;

use super::{
    super::{Fallible, scene::Stage},
    Row,
    backend::{Act, Backend, Behaviour},
    place::{PARK, Place},
    rate,
};

/// The clients; the last one is the broken one.
const CLIENTS: [&str; 10] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "broken"];
const BROKEN: &str = "broken";

/// How long a call takes.
const LATENCY: Duration = Duration::from_secs(1);

/// When a call that hangs is given up: soon enough for all of them to have ended before the window.
const TIMEOUT: &str = "5s";

/// The time before the window.
const BEFORE: Duration = Duration::from_secs(20);

/// The measured time.
const WINDOW: Duration = Duration::from_secs(10);

/// Jobs of each healthy client, and of the broken one: more, and as many as the broken client can have left.
const JOBS: u32 = 900;
const JOBS_OF_BROKEN: u32 = 300;

/// Calls at a time: the worker's default.
const PLACES: u32 = 256;

/// The longest interval between probes.
const PROBE_MAX: Duration = Duration::from_secs(5);

/// The aim: this part of the others' rate.
const AIM: f64 = 0.95;

/// The failures of the broken client.
const KINDS: [(&str, Option<Act>); 4] = [
    ("answers", None),
    ("answered 429", Some(Act::Reply(429))),
    ("answered 502", Some(Act::Reply(502))),
    ("hanging", Some(Act::Hang)),
];

/// The results of a run.
#[derive(Debug)]
struct Run {
    /// Tokens of the others revoked per second.
    rate: f64,
    /// From the recovery to the broken client's first answer, and to its last; `None` if some jobs are left.
    first: Option<Duration>,
    last: Option<Duration>,
}

/// Measures all kinds of failure at once, beside the nine alone, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let runs = try_join_all(KINDS.map(|(_, act)| run(stage, act))).await?;
    let alone = runs[0].rate;
    let rows = KINDS.iter().zip(&runs).skip(1);
    Ok(rows.map(|((name, _), run)| report(name, run, alone)).collect())
}

/// With `None` the broken client has no jobs.
async fn run(stage: &Stage, act: Option<Act>) -> Fallible<Run> {
    let place = Place::set(stage, &CLIENTS, behaviour(act)).await?;
    place.publish(Lane::Bulk, jobs(act.is_some())).await?;
    let probe_max = humantime::format_duration(PROBE_MAX).to_string();
    let settings = [("flow.pause.probe_max", probe_max.as_str()), ("endpoint.timeout", TIMEOUT)];
    let worker = place.start(stage, &settings).await?;
    let began = Instant::now();
    let from = began + BEFORE;
    sleep(BEFORE + WINDOW).await;
    let rate = rate::revoked(&place.backend.records(), from, WINDOW, |call| call.client != BROKEN);
    let parked = worker.metric("deferrals_total", "how=\"parked\"").await;
    let limit = worker.metric("concurrency_limit", "").await;
    eprintln!(
        "clients, b, {act:?}: {rate:.0}/s of the others; limit {limit}, {parked} parked, client paused {} times, \
         worker {} times",
        worker.said("client paused").len(),
        worker.pauses(),
    );
    let course = rate::course(&place.backend.records(), began, |call| call.client != BROKEN);
    let hung: Vec<usize> =
        (0..30).map(|second| held(&place.backend, began + Duration::from_secs(second))).collect();
    eprintln!(
        "clients, b, {act:?}: the others' per second {course:?}, places of the broken one {hung:?}"
    );
    let (mut first, mut last) = (None, None);
    if act.is_some() {
        place.backend.behave(behaviour(None));
        let recovered = Instant::now();
        let done = |backend: &Backend| answered(backend).count() >= JOBS_OF_BROKEN as usize;
        let is_done = place.backend.until(aim_of_last(), done).await;
        let answered: Vec<Instant> = answered(&place.backend).collect();
        first = answered.iter().min().map(|at| at.saturating_duration_since(recovered));
        last = answered.iter().max().map(|at| at.saturating_duration_since(recovered));
        last = last.filter(|_| is_done);
        if place.jobs.dead().await? > 0 {
            return Err("some jobs became dead letters".into());
        }
    }
    place.strike([worker]).await?;
    Ok(Run { rate, first, last })
}

/// The times at which the broken client's tokens were revoked.
fn answered(backend: &Backend) -> impl Iterator<Item = Instant> + use<> {
    let records = backend.records();
    let of_broken = records.iter().filter(|record| record.client == BROKEN);
    of_broken.filter_map(super::backend::Record::revoked).collect::<Vec<_>>().into_iter()
}

/// Calls of the broken client that were under way at that time.
fn held(backend: &Backend, at: Instant) -> usize {
    let records = backend.records();
    let of_broken = records.iter().filter(|record| record.client == BROKEN && record.began <= at);
    of_broken.filter(|record| record.ended.is_none_or(|ended| ended > at)).count()
}

fn behaviour(act: Option<Act>) -> Behaviour {
    Box::new(move |call| match act {
        Some(act) if call.client == BROKEN => {
            // A refusal comes at once.
            (act, Duration::ZERO)
        }
        _ => (Act::Revoke, LATENCY),
    })
}

/// One job of each client after the other.
fn jobs(with_broken: bool) -> impl Iterator<Item = (&'static str, String)> {
    (0..JOBS).flat_map(move |number| {
        let clients = CLIENTS
            .into_iter()
            .filter(move |client| *client != BROKEN || with_broken && number < JOBS_OF_BROKEN);
        clients.map(move |client| (client, format!("{client}-{number}")))
    })
}

/// How soon the broken client may be answered again: one probe at the longest interval, and its call.
fn aim_of_first() -> Duration {
    PROBE_MAX + LATENCY
}

/// How soon all of its jobs may be done: one more stay in a retry queue, then its jobs at its fair share of the places.
fn aim_of_last() -> Duration {
    let places = PLACES / u32::try_from(CLIENTS.len()).unwrap_or(u32::MAX);
    aim_of_first() + PARK[PARK.len() - 1] + LATENCY * JOBS_OF_BROKEN.div_ceil(places)
}

fn report(name: &str, run: &Run, alone: f64) -> Row {
    let ratio = run.rate / alone;
    let (first, last) = (aim_of_first(), aim_of_last());
    let in_time = |time: Option<Duration>, aim| time.is_some_and(|time| time <= aim);
    let told = |time: Option<Duration>| {
        time.map_or("not in time".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
    };
    Row {
        scenario: format!("one client of ten {name}"),
        aim: format!(
            "the others at least {AIM} of their rate without it; its first answer within {} s, all within {} s",
            first.as_secs(),
            last.as_secs()
        ),
        figure: format!("{ratio:.2}; first answer: {}, all: {}", told(run.first), told(run.last)),
        met: Some(ratio >= AIM && in_time(run.first, first) && in_time(run.last, last)),
    }
}
