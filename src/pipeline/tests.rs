//! The chain by itself: a source, an endpoint and settlements made of channels, on a paused clock.

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
mod verifying;

/// A settlement as it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Done,
    Dead(Reason, History),
    Parked(Duration, History),
    /// With what is known of whether the token may be revoked.
    Requeued(Option<Ambiguity>),
    Dropped,
}

struct TestDelivery {
    metadata: MessageMetadata,
    body: Vec<u8>,
    out: Option<mpsc::UnboundedSender<Out>>,
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

    async fn settle(mut self, outcome: &Outcome, history: &History) -> Settled {
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
    /// Waits until the gate opens, then answers.
    Gated(Verdict),
}

struct TestEndpoint {
    answers: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<Instant>>,
    /// What introspection says, in order.
    states: Mutex<VecDeque<Result<TokenState, Failure>>>,
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
        },
    };
    let flow = Dispatcher::new(&flow, Arc::clone(&metrics));
    let pipeline = Arc::new(Pipeline {
        settings,
        endpoint: TestEndpoint {
            answers: Mutex::new(answers.into_iter().collect()),
            calls: Mutex::default(),
            states: Mutex::default(),
            gate: Semaphore::new(0),
            unknown,
            began: AtomicUsize::new(0),
        },
        clock: TestClock(Instant::now()),
        duplicates: Arc::new(Duplicates::new(HOLD, 10)),
        backing_off: BackingOff::new(128),
        checks: ChecksSeen::default(),
        spans: Spans::none(),
        flow: Arc::new(flow),
        metrics,
        stop: Stop::default(),
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
            stuck: false,
            lost: CancellationToken::new(),
        };
        change(&mut delivery);
        assert!(self.deliveries.as_ref().unwrap().send(delivery).is_ok());
    }

    /// A job for a token of its own.
    fn deliver(&self) {
        let number = self.delivered.fetch_add(1, Ordering::Relaxed);
        self.deliver_with(&format!(r#"{{"refresh_token":"t{number}"}}"#), |_| {});
    }

    /// One more job for the same token.
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

    /// Ends the source, waits for the chain to run empty, and holds the books against each other.
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

#[tokio::test(start_paused = true)]
async fn a_job_is_called_once_and_done() {
    let mut bench = bench([Answer::Verdict(Verdict::Revoked)]);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    let metrics = bench.end().await;
    assert!(metrics.contains(
        r#"revoker_revocations_processed_total{lane="interactive",outcome="revoked"} 1"#
    ));
}

#[tokio::test(start_paused = true)]
async fn a_transport_failure_is_retried_with_growing_waits() {
    let mut answers: Vec<_> = (0..4).map(|_| Answer::Verdict(transient(false))).collect();
    answers.push(Answer::Verdict(Verdict::Revoked));
    let mut bench = bench(answers);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.gaps(), [250, 500, 1000, 2000]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_holds_no_permit() {
    let answers = [transient(false), Verdict::Revoked, Verdict::Revoked].map(Answer::Verdict);
    let mut bench = bench_with(answers, 1, false);
    bench.deliver();
    bench.until_called(1).await;
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.gaps(), [0], "the second job was called while the first one waited");
    assert_eq!(bench.next().await, Out::Done);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_past_the_hold_is_parked_and_back_from_it_gets_one_attempt() {
    let mut bench = bench((0..100).map(|_| Answer::Verdict(transient(true))));
    bench.deliver();
    let Out::Parked(STAY, history) = bench.next().await else { panic!("not parked") };
    assert_eq!(history.stays, 1);
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
    let calls = history.attempts;
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| back.metadata.history = history);
    let Out::Parked(delay, history) = bench.next().await else { panic!("not parked") };
    assert_eq!((delay, history.stays, history.attempts), (STAY * 6, 2, calls + 1));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_parked_before_the_hold_has_the_rest_of_it() {
    let answers = [transient(false), transient(false), Verdict::Revoked].map(Answer::Verdict);
    let mut bench = bench(answers);
    let first = bench.pipeline.clock.now().checked_sub(STAY);
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| {
        back.metadata.history =
            History { attempts: 1, stays: 1, first_failed_at: first, ..History::default() };
    });
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.gaps(), [250, 500]);
    bench.end().await;
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Pauses the worker for a day, or lets it run. A job that was parked half an hour before comes back from that day and
/// fails once more, while another is answered. Half an hour is half of what ends it.
async fn a_parked_job_fails_after_a_day(paused: bool) -> Out {
    let answers = [Answer::Gated(transient(false))];
    let answered = [Verdict::Revoked, Verdict::Revoked].map(Answer::Verdict);
    let mut bench = bench(answers.into_iter().chain(answered));
    let flow = Arc::clone(&bench.pipeline.flow);
    tokio::time::advance(HOLD).await;
    let parked_at = bench.pipeline.clock.now();
    let history = History {
        attempts: 9,
        stays: 1,
        first_failed_at: parked_at.checked_sub(HOLD * 30),
        parked_at: Some(parked_at),
        ..History::default()
    };
    let call = || async {
        match flow.start(Lane::Bulk, ClientKey::default()).await {
            Admission::Granted(permit) => permit,
            Admission::WaitElsewhere(_) => panic!("no room"),
        }
    };
    if paused {
        for _ in 0..20 {
            let failed = flow::CallOutcome::Failed {
                overload: false,
                busy: false,
                job_fault: false,
                retry_after: None,
            };
            call().await.finish(failed);
        }
        assert_ne!(flow.status().borrow().phase, flow::Phase::Running);
    }
    tokio::time::advance(DAY).await;
    call().await.finish(flow::CallOutcome::Revoked);
    assert_eq!(flow.status().borrow().phase, flow::Phase::Running);
    bench.deliver_with(r#"{"refresh_token":"parked"}"#, |back| back.metadata.history = history);
    bench.until_called(1).await;
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done, "others are answered");
    bench.pipeline.endpoint.gate.add_permits(1);
    let out = bench.next().await;
    bench.end().await;
    out
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_after_a_long_pause_ends_no_job() {
    let out = a_parked_job_fails_after_a_day(true).await;
    let Out::Parked(_, history) = out else { panic!("{out:?}") };
    assert_eq!(history.paused, DAY, "the pause travels with the job");
}

/// The control: the same day without a pause.
#[tokio::test(start_paused = true)]
async fn a_job_that_fails_all_day_while_others_are_answered_is_given_up() {
    let out = a_parked_job_fails_after_a_day(false).await;
    assert!(matches!(out, Out::Dead(Reason::Exhausted, _)), "{out:?}");
}

/// What happened before this process was started is not known, so it ends no job.
#[tokio::test(start_paused = true)]
async fn a_stay_that_no_worker_has_seen_ends_no_job() {
    let answers = [Answer::Gated(transient(false)), Answer::Verdict(Verdict::Revoked)];
    let mut bench = bench(answers);
    let parked_at = bench.pipeline.clock.now().checked_sub(DAY);
    let history = History {
        attempts: 9,
        stays: 1,
        first_failed_at: parked_at.and_then(|at| at.checked_sub(HOLD * 30)),
        parked_at,
        ..History::default()
    };
    bench.deliver_with(r#"{"refresh_token":"parked"}"#, |back| back.metadata.history = history);
    bench.until_called(1).await;
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done, "others are answered");
    bench.pipeline.endpoint.gate.add_permits(1);
    let out = bench.next().await;
    let Out::Parked(_, history) = out else { panic!("{out:?}") };
    assert_eq!(history.paused, DAY);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn time_in_a_pause_takes_nothing_off_the_hold() {
    // In flight it fails at once and after 0.25 s, 0.75 s, and so on up to 30.75 s.
    let failures = (0..9).map(|_| Answer::Verdict(transient(false)));
    let mut bench = bench(failures.chain([Answer::Verdict(Verdict::Revoked)]));
    bench.deliver();
    // On the paused clock.
    tokio::time::sleep(STAY * 4).await;
    assert_eq!(bench.gaps().len(), 7);
    bench.pipeline.flow.hold(true);
    tokio::time::sleep(STAY * 5).await;
    assert_eq!(bench.gaps().len(), 7, "nothing is called in the pause");
    bench.pipeline.flow.hold(false);
    let out = bench.next().await;
    assert_eq!(out, Out::Done, "it was parked though it has failed for less than the hold");
    assert!(bench.gaps().iter().sum::<u128>() > HOLD.as_millis(), "the pause outlasted the hold");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_time_out_and_then_a_rejection_is_a_rejection_after_ambiguity() {
    let mut bench = bench([transient(true), rejected()].map(Answer::Verdict));
    bench.deliver();
    let Out::Dead(reason, history) = bench.next().await else { panic!("not dead") };
    assert_eq!((reason, history.attempts), (Reason::RejectedAfterAmbiguity, 2));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_job_that_is_rejected_is_a_rejection_after_ambiguity() {
    let mut bench = bench([Answer::Verdict(rejected())]);
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |again| again.metadata.redelivered = true);
    let Out::Dead(Reason::RejectedAfterAmbiguity, history) = bench.next().await else {
        panic!("not dead")
    };
    assert_eq!(history.ambiguity, Some(Ambiguity::Redelivered));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_job_and_an_unknown_client_are_not_called() {
    let mut invalid = bench([]);
    invalid.deliver_with("not a job", |_| {});
    assert!(matches!(invalid.next().await, Out::Dead(Reason::InvalidJob, _)));
    invalid.end().await;
    let mut unknown = bench_with([], 1, true);
    unknown.deliver();
    assert!(matches!(unknown.next().await, Out::Dead(Reason::UnknownClient, _)));
    unknown.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_not_called_also_after_a_wait() {
    let mut bench = bench([Answer::Verdict(transient(false))]);
    bench.deliver_with(r#"{"refresh_token":"t","expires_at":999999940}"#, |_| {});
    assert_eq!(bench.next().await, Out::Done);
    // Good at its first attempt, dead when its wait is over.
    bench.deliver_with(r#"{"refresh_token":"t","expires_at":999999940.1}"#, |_| {});
    assert_eq!(bench.next().await, Out::Done);
    let metrics = bench.end().await;
    assert!(metrics.contains(r#"{lane="interactive",outcome="expired"} 2"#));
    assert!(metrics.contains(r#"revoker_endpoint_calls_total{result="timeout"} 1"#));
}

/// A job's age depends on its producer's clock. The job has no age if that clock is too far ahead, or if there
/// is no timestamp. It is then counted as a job without an age, whatever its outcome.
#[tokio::test(start_paused = true)]
async fn a_job_has_an_age_or_is_counted_as_one_without() {
    let now = TestClock(Instant::now()).now();
    let second = Duration::from_secs(1);
    let sent = [
        Some(now - 7 * second),
        Some(now),
        Some(now + ALLOWED_SKEW),
        Some(now + ALLOWED_SKEW + second),
        None,
    ];
    let answers = [Verdict::Revoked, rejected()].into_iter().flat_map(|v| vec![v; sent.len()]);
    let mut bench = bench(answers.map(Answer::Verdict));
    for round in 0..2 {
        for (n, published_at) in sent.into_iter().enumerate() {
            let body = format!(r#"{{"refresh_token":"t{round}{n}"}}"#);
            bench.deliver_with(&body, |delivery| delivery.metadata.published_at = published_at);
            bench.next().await;
        }
    }
    let metrics = bench.end().await;
    for line in [
        r#"revoker_revocation_age_seconds_count{lane="interactive"} 3"#,
        r#"revoker_revocation_age_seconds_sum{lane="interactive"} 7"#,
        r#"revoker_revocations_without_age_total{lane="interactive"} 2"#,
        r#"revoker_revocations_failed_total{lane="interactive",reason="rejected"} 5"#,
        r#"revoker_revocations_failed_without_age_total{lane="interactive",reason="rejected"} 2"#,
        r#"revoker_revocations_failed_without_age_total{lane="bulk",reason="rejected"} 0"#,
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "no {line} in {metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_own_job_and_nothing_else() {
    let mut bench = bench([Answer::Panic, Answer::Verdict(Verdict::Revoked)]);
    bench.deliver();
    let Out::Dead(Reason::InternalError, history) = bench.next().await else { panic!("not dead") };
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt), "it was in a call");
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn draining_hands_back_what_waits_and_finishes_what_is_called() {
    let answers = [Answer::Verdict(transient(false)), Answer::Gated(Verdict::Revoked)];
    let mut bench = bench_with(answers, 1, false);
    bench.deliver(); // Fails and waits.
    bench.until_called(1).await;
    bench.deliver(); // In its call.
    bench.until_called(2).await;
    bench.deliver(); // Waits for a permit.
    bench.pipeline.stop.start_draining();
    assert_eq!(bench.next().await, Out::Requeued(None));
    assert_eq!(bench.next().await, Out::Requeued(None));
    bench.pipeline.endpoint.gate.add_permits(1);
    assert_eq!(bench.next().await, Out::Done);
    bench.deliver(); // Came too late.
    assert_eq!(bench.next().await, Out::Requeued(None));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_cut_off_calls_and_settlements_are_given_back_too() {
    let answers = [Answer::Gated(Verdict::Revoked), Answer::Verdict(rejected())];
    let mut bench = bench(answers);
    bench.deliver();
    bench.until_called(1).await;
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |delivery| delivery.stuck = true);
    bench.until_called(2).await;
    bench.pipeline.stop.cut_off();
    let mut left = [bench.next().await, bench.next().await];
    left.sort_by_key(|out| *out == Out::Dropped);
    assert!(
        matches!(left, [Out::Requeued(Some(Ambiguity::Attempt)) | Out::Dropped, Out::Dropped]),
        "{left:?}"
    );
    bench.end().await;
}

/// A duplicate waits for another job's call, which may be in progress. So it is requeued as one that may have been
/// revoked, like the job that makes the call.
#[tokio::test(start_paused = true)]
async fn a_duplicate_that_is_cut_off_may_have_been_revoked() {
    let mut bench = bench([Answer::Gated(Verdict::Revoked)]);
    bench.deliver_same();
    bench.until_called(1).await;
    bench.deliver_same();
    tokio::task::yield_now().await;
    bench.pipeline.stop.cut_off();
    let mut left = [bench.next().await, bench.next().await];
    left.sort_by_key(|out| *out == Out::Requeued(Some(Ambiguity::Attempt)));
    let doubts = [Ambiguity::Redelivered, Ambiguity::Attempt];
    assert_eq!(left, doubts.map(|doubt| Out::Requeued(Some(doubt))));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_in_flight_for_ten_minutes_is_requeued() {
    let mut bench = bench([]);
    bench.pipeline.flow.hold(true);
    let began = Instant::now();
    bench.deliver();
    assert_eq!(bench.next().await, Out::Requeued(None));
    assert_eq!(began.elapsed(), Duration::from_secs(600));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_token_a_hundred_times_is_one_call_also_while_draining() {
    let mut bench = bench([Answer::Gated(Verdict::Revoked)]);
    (0..100).for_each(|_| bench.deliver_same());
    bench.until_called(1).await;
    bench.pipeline.stop.start_draining();
    tokio::task::yield_now().await;
    bench.pipeline.endpoint.gate.add_permits(1);
    for _ in 0..100 {
        assert_eq!(bench.next().await, Out::Done);
    }
    // Long after the first has left: it is remembered.
    bench.deliver_same();
    assert_eq!(bench.next().await, Out::Done);
    let metrics = bench.end().await;
    assert!(metrics.contains(r#"{lane="interactive",outcome="revoked"} 1"#));
    assert!(metrics.contains(r#"{lane="interactive",outcome="duplicate"} 100"#));
}

#[tokio::test(start_paused = true)]
async fn followers_share_a_rejection_and_the_ambiguity() {
    let mut bench = bench([transient(true), rejected()].map(Answer::Verdict));
    (0..3).for_each(|_| bench.deliver_same());
    for _ in 0..3 {
        assert!(matches!(bench.next().await, Out::Dead(Reason::RejectedAfterAmbiguity, _)));
    }
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn followers_of_a_token_that_fails_are_parked_after_one_attempt_each() {
    let mut bench = bench((0..100).map(|_| Answer::Verdict(transient(true))));
    (0..5).for_each(|_| bench.deliver_same());
    let began = Instant::now();
    let mut pasts = Vec::new();
    for _ in 0..5 {
        let Out::Parked(STAY, history) = bench.next().await else { panic!("not parked") };
        pasts.push(history);
    }
    assert!(began.elapsed() < HOLD * 2);
    assert!(pasts[1..].iter().all(|past| past.attempts == 1), "{pasts:?}");
    // Back from its stay, the token has failed for the hold, whoever made the attempts.
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| back.metadata.history = pasts[4]);
    let Out::Parked(_, history) = bench.next().await else { panic!("not parked") };
    assert_eq!((history.stays, history.attempts), (2, 2));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_leader_panicked_calls_for_itself_and_knows_of_the_ambiguity() {
    let mut bench = bench([Answer::Panic, Answer::Verdict(rejected())]);
    bench.pipeline.flow.hold(true);
    (0..2).for_each(|_| bench.deliver_same());
    // Both have entered before the first is called.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    bench.pipeline.flow.hold(false);
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let Out::Dead(reason, _) = bench.next().await else { panic!("not dead") };
        reasons.push(reason);
    }
    assert_eq!(reasons, [Reason::InternalError, Reason::RejectedAfterAmbiguity]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_no_job_and_hands_back_what_waits_past_the_hold() {
    let mut bench = bench((0..200).map(|_| Answer::Verdict(transient(false))));
    let clock = CancellationToken::new();
    let flow = tokio::spawn(Arc::clone(&bench.pipeline.flow).run(clock.clone()));
    (0..30).for_each(|_| bench.deliver());
    let mut back = 0;
    for _ in 0..30 {
        match bench.next().await {
            Out::Requeued(_) => back += 1,
            Out::Parked(..) => {}
            other => panic!("an outage ends nothing: {other:?}"),
        }
    }
    assert!(back >= 10, "{back} handed back");
    bench.end().await;
    clock.cancel();
    flow.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_its_session_is_lost_is_not_called_any_more() {
    let mut bench = bench([]);
    bench.pipeline.flow.hold(true);
    let lost = CancellationToken::new();
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |delivery| delivery.lost = lost.clone());
    tokio::task::yield_now().await;
    lost.cancel();
    assert_eq!(bench.next().await, Out::Requeued(None));
    bench.pipeline.flow.hold(false);
    assert_eq!(bench.pipeline.endpoint.began.load(Ordering::SeqCst), 0);
    bench.end().await;
}
