//! Tests of the pipeline with a mock source, endpoint and settlements, on a paused clock.

use std::{
    collections::VecDeque,
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering},
    time::{Duration, SystemTime},
};

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    domain::{
        ALLOWED_SKEW, Ambiguity, ClientKey, Failure, GonePolicy, History, InvalidJob, JobDefaults,
        Lane, MessageMetadata, Policy, Reason, Rejection, ResultLabel, RetryPolicy, Schedule,
        TokenState, TraceContext, Verdict, VerifyPolicy,
    },
    flow::{self, Admission, PauseSettings},
    metrics::Build,
    ports::UnknownClient,
    spans::Spans,
};

mod crowding;
mod ending;
mod recording;
mod retrying;
mod sharing;
mod stopping;
mod verifying;
mod verifying_late;
mod verifying_outage;

/// A settlement of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Done,
    Dead(Reason, History),
    Parked(Duration, History),
    /// Requeued, with the ambiguity of the job.
    Requeued(Option<Ambiguity>),
    Dropped,
}

struct TestDelivery {
    metadata: MessageMetadata,
    body: Vec<u8>,
    out: Option<mpsc::UnboundedSender<Out>>,
    events: Arc<Mutex<Vec<JobRecord>>>,
    stuck: bool,
    lost: CancellationToken,
}

impl Delivery for TestDelivery {
    fn metadata(&self) -> &MessageMetadata {
        &self.metadata
    }

    fn job(&self, defaults: &JobDefaults) -> Result<Arc<Job>, InvalidJob> {
        Job::parse(&self.body, defaults).map(Arc::new)
    }

    fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    async fn settle(
        mut self,
        outcome: &Outcome,
        history: &History,
        event: Option<&JobRecord>,
    ) -> Settled {
        self.events.lock().unwrap().extend(event.cloned());
        if self.stuck {
            std::future::pending::<()>().await;
        }
        let out = match outcome {
            Outcome::Done(_) => Out::Done,
            Outcome::DeadLettered(letter) => Out::Dead(letter.reason, *history),
            Outcome::Parked(delay) => Out::Parked(*delay, *history),
            Outcome::Requeued => Out::Requeued(history.ambiguity),
        };
        let _ = self.out.take().unwrap().send(out);
        Settled::Done
    }
}

impl Drop for TestDelivery {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            let _ = out.send(Out::Dropped);
        }
    }
}

struct TestSource(mpsc::UnboundedReceiver<TestDelivery>);

impl Source for TestSource {
    type Delivery = TestDelivery;

    async fn next(&mut self) -> Option<TestDelivery> {
        self.0.recv().await
    }
}

enum Answer {
    Verdict(Verdict),
    Panic,
    /// Answers once the gate is open.
    Gated(Verdict),
}

struct TestEndpoint {
    answers: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<Instant>>,
    /// The answers of introspection, in order.
    states: Mutex<VecDeque<Result<TokenState, Failure>>>,
    /// How many checks to come wait until the gate opens.
    hanging_checks: AtomicUsize,
    /// How many checks are under way.
    checking: AtomicUsize,
    /// The most checks that were under way at once.
    most_checks: AtomicUsize,
    gate: Semaphore,
    unknown: bool,
    began: AtomicUsize,
}

impl Endpoint for TestEndpoint {
    fn admit(&self, _job: &Job) -> Result<ClientKey, UnknownClient> {
        if self.unknown { Err(UnknownClient::NoSecret) } else { Ok(ClientKey::default()) }
    }

    async fn revoke(
        &self,
        _job: &Job,
        _trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        self.calls.lock().unwrap().push(Instant::now());
        self.began.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.lock().unwrap().pop_front();
        match answer.expect("an answer for each call") {
            Answer::Verdict(verdict) => Ok(verdict),
            Answer::Panic => panic!("on purpose"),
            Answer::Gated(verdict) => {
                let _open = self.gate.acquire().await.unwrap();
                Ok(verdict)
            }
        }
    }

    async fn introspect(
        &self,
        _job: &Job,
        _trace: Option<&TraceContext>,
    ) -> Result<TokenState, Failure> {
        let checking = self.checking.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_checks.fetch_max(checking, Ordering::SeqCst);
        // Others begin meanwhile.
        tokio::task::yield_now().await;
        let hangs = |left: usize| left.checked_sub(1);
        if self.hanging_checks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, hangs).is_ok() {
            let _open = self.gate.acquire().await.unwrap();
        }
        self.checking.fetch_sub(1, Ordering::SeqCst);
        self.states.lock().unwrap().pop_front().expect("a state for each check")
    }
}

#[derive(Debug, Clone, Copy)]
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000) + self.0.elapsed()
    }
}

struct Bench {
    pipeline: Arc<Pipeline<TestEndpoint, TestClock>>,
    deliveries: Option<mpsc::UnboundedSender<TestDelivery>>,
    running: tokio::task::JoinHandle<()>,
    out: mpsc::UnboundedReceiver<Out>,
    send_out: mpsc::UnboundedSender<Out>,
    /// The events of all deliveries.
    events: Arc<Mutex<Vec<JobRecord>>>,
    delivered: AtomicUsize,
}

const HOLD: Duration = Duration::from_secs(60);
const STAY: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    let schedule = Schedule {
        initial: Duration::from_millis(250),
        multiplier: 2.0,
        max: Duration::from_secs(15),
        jitter: 0.0,
    };
    let retry = RetryPolicy {
        schedule,
        hold: HOLD,
        park: vec![STAY, STAY * 6],
        give_up_after: HOLD * 60,
        retry_after_max: HOLD * 5,
    };
    Settings {
        defaults: JobDefaults {
            audience: "a".into(),
            client_id: Some("c".into()),
            ..JobDefaults::default()
        },
        policy: Policy {
            retry,
            presume_revoked_after_ambiguity: false,
            rejects_repeats: true,
            gone: GonePolicy::Settle,
        },
        verify: VerifyPolicy::default(),
        remember: HOLD * 10,
        remember_capacity: 10,
        records: RecordSettings::default(),
    }
}

fn bench(answers: impl IntoIterator<Item = Answer>) -> Bench {
    bench_with(answers, 8, false)
}

fn bench_with(
    answers: impl IntoIterator<Item = Answer>,
    concurrency: usize,
    unknown: bool,
) -> Bench {
    bench_of(answers, concurrency, unknown, settings())
}

fn bench_of(
    answers: impl IntoIterator<Item = Answer>,
    concurrency: usize,
    unknown: bool,
    settings: Settings,
) -> Bench {
    let metrics = Arc::new(Metrics::new(Build { version: "0", revision: "0" }).unwrap());
    let flow = flow::Settings {
        concurrency_min: 1,
        concurrency_max: concurrency,
        adaptive: false,
        rate: None,
        rate_scope: flow::RateScope::Replica,
        bulk_min_share: 0.0,
        pause: PauseSettings {
            after_failures: 20,
            probe_initial: Duration::from_secs(1),
            probe_max: Duration::from_secs(30),
            after_rejections: None,
            first_rejections: 0,
            expected_rejections: 0,
        },
    };
    let flow = Dispatcher::new(&flow, Arc::clone(&metrics));
    let pipeline = Arc::new(Pipeline {
        settings,
        endpoint: TestEndpoint {
            answers: Mutex::new(answers.into_iter().collect()),
            calls: Mutex::default(),
            states: Mutex::default(),
            hanging_checks: AtomicUsize::new(0),
            checking: AtomicUsize::new(0),
            most_checks: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            unknown,
            began: AtomicUsize::new(0),
        },
        clock: TestClock(Instant::now()),
        duplicates: Arc::new(Duplicates::new(HOLD, 10)),
        backing_off: BackingOff::new(128),
        checks: ChecksSeen::default(),
        failures: Arc::new(FailureLog::default()),
        spans: Spans::none(),
        flow: Arc::new(flow),
        metrics,
        stop: Stop::default(),
        has_dead_letters: true,
    });
    let (deliveries, source) = mpsc::unbounded_channel();
    let (send_out, out) = mpsc::unbounded_channel();
    let running = tokio::spawn(Arc::clone(&pipeline).run(TestSource(source)));
    Bench {
        pipeline,
        deliveries: Some(deliveries),
        running,
        out,
        send_out,
        events: Arc::default(),
        delivered: AtomicUsize::new(0),
    }
}

impl Bench {
    fn deliver_with(&self, body: &str, change: impl FnOnce(&mut TestDelivery)) {
        let mut delivery = TestDelivery {
            metadata: MessageMetadata {
                lane: Lane::Interactive,
                message_id: None,
                published_at: None,
                redelivered: false,
                trace: None,
                history: History::default(),
            },
            body: body.as_bytes().to_vec(),
            out: Some(self.send_out.clone()),
            events: Arc::clone(&self.events),
            stuck: false,
            lost: CancellationToken::new(),
        };
        change(&mut delivery);
        assert!(self.deliveries.as_ref().unwrap().send(delivery).is_ok());
    }

    /// Delivers a job with a new token.
    fn deliver(&self) {
        let number = self.delivered.fetch_add(1, Ordering::Relaxed);
        self.deliver_with(&format!(r#"{{"refresh_token":"t{number}"}}"#), |_| {});
    }

    /// Delivers another job for the same token.
    fn deliver_same(&self) {
        self.deliver_with(r#"{"refresh_token":"same"}"#, |_| {});
    }

    async fn next(&mut self) -> Out {
        self.out.recv().await.unwrap()
    }

    async fn until_called(&self, times: usize) {
        while self.pipeline.endpoint.began.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    }

    fn gaps(&self) -> Vec<u128> {
        let calls = self.pipeline.endpoint.calls.lock().unwrap();
        calls.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect()
    }

    /// Ends the source, waits until no job is in flight, and checks that the metrics agree.
    async fn end(mut self) -> String {
        self.deliveries = None;
        self.running.await.unwrap();
        let text = self.pipeline.metrics.render().unwrap();
        let total = |prefix: &str| -> f64 {
            let lines = text.lines().filter(|line| line.starts_with(prefix));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
        };
        let settled =
            total("revoker_revocations_processed_total") + total("revoker_deferrals_total");
        assert!((total("revoker_deliveries_total") - settled).abs() < 0.5, "{text}");
        assert!(total("revoker_jobs_in_flight").abs() < 0.5, "{text}");
        // Every revoked job has an age, or is counted as one without.
        let revoked = |lane: &str| {
            let ages = total(&format!("revoker_revocation_age_seconds_count{{lane=\"{lane}\"}}"));
            let without =
                total(&format!("revoker_revocations_without_age_total{{lane=\"{lane}\"}}"));
            let labels = format!("{{lane=\"{lane}\",outcome=\"revoked\"}}");
            ages + without - total(&format!("revoker_revocations_processed_total{labels}"))
        };
        assert!(Lane::ALL.iter().all(|lane| revoked(lane.as_str()).abs() < 0.5), "{text}");
        text
    }
}

fn transient(ambiguous: bool) -> Verdict {
    Verdict::Transient(Failure::unanswered(ResultLabel::Timeout, ambiguous))
}

fn rejected() -> Verdict {
    Verdict::Rejected(Rejection { code: "01".to_owned(), message: None, http_status: 200 })
}
