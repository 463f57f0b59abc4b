//! Tests of a long backlog and a temporary outage of the endpoint. No job is dead-lettered, almost none is parked, the
//! endpoint gets only probes, and in the end every token is revoked.
//!
//! With `REVOKER_FULL` set the outage lasts a minute under the worker's own defaults. Otherwise hold, probes and outage
//! are scaled down alike, so that a short run covers the same events.

use std::{
    collections::BTreeSet,
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Launch, Message, Stage, Worker,
    relay::Relay, token,
};

const JOBS: usize = 20_000;
/// One job in this many belongs to the interactive lane.
const INTERACTIVE_EVERY: usize = 10;
/// The outage begins after this many calls: a debug build takes about a second for them.
const BEFORE: usize = 1_500;
const PREFETCH: usize = 64;
const CONCURRENCY: usize = 32;
const AFTER_FAILURES: usize = 20;
/// Failed calls until the pause begins: the consecutive failures, and the calls in flight at their end. Calls in flight
/// at the start of the outage fail too, so no answer interrupts the failures.
const BEFORE_THE_PAUSE: usize = AFTER_FAILURES + CONCURRENCY;

/// The endpoint's behaviour during the outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Refused,
    Hanging,
    Unavailable,
    Html,
}

impl Fault {
    /// The answer to a call that still reaches the endpoint.
    fn answer(self) -> Answer {
        match self {
            // If the port refuses connections, only calls in flight are still read.
            Self::Refused => Answer::Reset,
            Self::Hanging => Answer::Never,
            Self::Unavailable => Answer::status(503),
            Self::Html => Answer::html(),
        }
    }

    /// The result that proves that the fault happened.
    fn result(self) -> &'static str {
        match self {
            Self::Refused => "connect",
            Self::Hanging => "timeout",
            Self::Unavailable => "http_5xx",
            Self::Html => "unrecognized",
        }
    }
}

/// Scaled down, so that the outage exceeds all of these times. But no call may time out on a slow machine: after
/// `give_up_after`, a job must not fail once the endpoint is back.
const OTHERS: Others = &[
    ("retry.give_up_after", "2s"),
    ("retry.initial", "25ms"),
    ("retry.max", "500ms"),
    ("endpoint.timeout", "10m"),
    ("endpoint.connect_timeout", "60s"),
];
/// The time limit is scaled down too, but as little as the outage allows.
const HANGING: Others = &[
    ("retry.give_up_after", "2s"),
    ("retry.initial", "25ms"),
    ("retry.max", "500ms"),
    ("endpoint.timeout", "20s"),
    ("endpoint.connect_timeout", "20s"),
];

/// The worker's defaults, except for times that must be shorter than an outage of a minute.
const AS_IT_COMES: Others = &[("retry.give_up_after", "30s")];
/// With the worker's default time limits too, for an outage that shows only as time-outs.
const HANGING_AS_IT_COMES: Others = &[
    ("retry.give_up_after", "30s"),
    ("endpoint.timeout", "15s"),
    ("endpoint.connect_timeout", "5s"),
];

/// Keys and their values.
type Others = &'static [(&'static str, &'static str)];

/// The times of a run.
struct Terms {
    hold: Duration,
    probe_initial: Duration,
    probe_max: Duration,
    lasts: Lasts,
    /// Further settings that make times shorter than the outage.
    others: Others,
}

/// The end of an outage.
enum Lasts {
    /// After this many failed probes.
    Probes(usize),
    /// After this time.
    Time(Duration),
}

impl Terms {
    fn chosen(fault: Fault) -> Self {
        let hangs = fault == Fault::Hanging;
        if env::var_os("REVOKER_FULL").is_some() {
            Self {
                // No longer than `give_up_after`.
                hold: Duration::from_secs(30),
                probe_initial: Duration::from_secs(1),
                probe_max: Duration::from_secs(30),
                lasts: Lasts::Time(Duration::from_secs(60)),
                others: if hangs { HANGING_AS_IT_COMES } else { AS_IT_COMES },
            }
        } else {
            Self {
                hold: Duration::from_secs(2),
                probe_initial: Duration::from_millis(100),
                probe_max: Duration::from_secs(1),
                // A hanging probe takes the whole time limit.
                lasts: Lasts::Probes(if hangs { 2 } else { 9 }),
                others: if hangs { HANGING } else { OTHERS },
            }
        }
    }

    fn set(&self, launch: Launch) -> Launch {
        let times = [
            ("retry.hold", self.hold),
            ("flow.pause.probe_initial", self.probe_initial),
            ("flow.pause.probe_max", self.probe_max),
        ];
        let launch = times
            .into_iter()
            .fold(launch, |launch, (key, time)| launch.set(key, format!("{}ms", time.as_millis())));
        self.others.iter().fold(launch, |launch, (key, value)| launch.set(key, value))
    }

    /// The least time until the last of this many probes begins.
    fn least(&self, probes: usize) -> Duration {
        let intervals = std::iter::successors(Some(self.probe_initial), |interval| {
            Some((*interval * 2).min(self.probe_max))
        });
        intervals.take(probes).sum()
    }

    async fn outlast(&self, worker: &Worker) {
        match self.lasts {
            Lasts::Probes(count) => drop(worker.until_log_lines("paused again", count).await),
            Lasts::Time(time) => tokio::time::sleep(time).await,
        }
    }
}

/// An endpoint with an outage, and the relay to it.
struct Away {
    fault: Fault,
    on: Arc<AtomicBool>,
    /// Calls after [`BEFORE`] wait here for the outage, so that it begins before all jobs are done.
    begun: Gate,
    endpoint: Endpoint,
    way: Relay,
}

impl Away {
    async fn not_yet(fault: Fault) -> Self {
        let (on, begun) = (Arc::new(AtomicBool::new(true)), Gate::default());
        let (away, outage, calls) = (on.clone(), begun.clone(), AtomicUsize::new(0));
        let script = move |_: &_| {
            let early = calls.fetch_add(1, Ordering::SeqCst) < BEFORE;
            let answers = early || !away.load(Ordering::SeqCst);
            if answers { Answer::revoked() } else { fault.answer().after(&outage) }
        };
        let endpoint = Endpoint::start(script).await;
        let way = Relay::open(endpoint.address()).await;
        Self { fault, on, begun, endpoint, way }
    }

    async fn begin(&mut self) {
        if self.fault == Fault::Refused {
            self.way.closed().await;
        }
        self.begun.open();
    }

    async fn end(&mut self) {
        self.on.store(false, Ordering::SeqCst);
        if self.fault == Fault::Refused {
            self.way.reopen().await;
        }
    }
}

/// The run. `retry.give_up_after` is below the length of the outage all along.
async fn a_backlog_outlasts(fault: Fault) {
    let terms = Terms::chosen(fault);
    let stage = Stage::new().await;
    let mut away = Away::not_yet(fault).await;
    stage.amqp.declare_family().await;
    for (queue, interactive) in [(INTERACTIVE, true), (BULK, false)] {
        let jobs = (0..JOBS).filter(|n| n.is_multiple_of(INTERACTIVE_EVERY) == interactive);
        stage.amqp.publish_all(queue, jobs.map(|n| Message::job(&token(n)))).await;
    }
    let launch = stage
        .run(&away.endpoint)
        .set("endpoint.url", format!("http://{}/revoke", away.way.address()))
        .set("broker.prefetch", PREFETCH)
        .set("flow.concurrency.max", CONCURRENCY)
        .set("flow.pause.after_failures", AFTER_FAILURES);
    let worker = terms.set(launch).ready().await;

    // All permitted calls are in flight, so no other call starts before the outage.
    away.endpoint.until_count(BEFORE + CONCURRENCY).await;
    let (began, calls_before) = (Instant::now(), away.endpoint.count());
    away.begin().await;
    terms.outlast(&worker).await;
    let ended_probes = worker.said("paused again").len();
    let calls = away.endpoint.count() - calls_before;
    let during = worker.metrics().await;
    let failed =
        during.sum("endpoint_calls_total") - during.calls("revoked") - during.calls("rejected");
    let probes = worker.said("paused again").len();
    let lasted = began.elapsed();
    assert_eq!(during.value("paused"), 1, "{}", during.summary());
    // The outage may have cut off calls in flight. The probes got the fault itself.
    assert!(failed > AFTER_FAILURES, "{}", during.summary());
    if fault != Fault::Refused {
        // Calls in flight get the fault itself, because they are not cut off.
        assert!(during.calls(fault.result()) > AFTER_FAILURES, "{}", during.summary());
    }
    assert!(during.calls(fault.result()) >= ended_probes.max(1), "{}", during.summary());
    assert!(terms.least(probes) <= lasted, "{probes} probes in {lasted:?}");
    // One probe may be under way.
    for (who, calls) in [("the worker", failed), ("the endpoint", calls)] {
        let most = BEFORE_THE_PAUSE + probes + 1;
        assert!(calls <= most, "{who} counts {calls} calls in the outage, {probes} of them probes");
    }
    assert!(during.processed("revoked") < JOBS, "the backlog did not outlast the outage");
    away.end().await;

    let after = worker.until_processed("revoked", JOBS).await;
    assert_eq!(after.processed("revoked"), JOBS);
    assert_eq!(after.processed("dead_lettered"), 0);
    let parked = ["interactive", "bulk"]
        .map(|lane| after.value(&format!("deferrals_total{{how=\"parked\",lane=\"{lane}\"}}")));
    let holds = began.elapsed().as_millis().div_ceil(terms.hold.as_millis());
    let most = 2 * PREFETCH + usize::try_from(holds).unwrap();
    assert!(parked.iter().sum::<usize>() <= most, "{parked:?} parked in {holds} holds");
    worker.until_log_lines("running again", 1).await;
    assert_eq!(worker.metrics().await.value("paused"), 0);
    stage.host.until_acked(&[INTERACTIVE, BULK]).await;
    worker.stop().await;

    let every: BTreeSet<String> = (0..JOBS).map(token).collect();
    assert_eq!(away.endpoint.told(AnswerKind::Revoked), every);
    for queue in [INTERACTIVE, BULK, DEAD] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }
}

/// No server listens on the endpoint's address.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_outlasts_refused_connections() {
    a_backlog_outlasts(Fault::Refused).await;
}

/// The endpoint reads every request, and answers none.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_outlasts_an_endpoint_that_hangs() {
    a_backlog_outlasts(Fault::Hanging).await;
}

/// A gateway reports that the endpoint is unavailable.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_outlasts_a_gateway_that_answers_503() {
    a_backlog_outlasts(Fault::Unavailable).await;
}

/// A gateway's page, with the status of a success.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_outlasts_html_with_status_200() {
    a_backlog_outlasts(Fault::Html).await;
}
