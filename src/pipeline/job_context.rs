//! The context of one delivery in flight.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{duplicates::SharedHistory, verifying::WakesAfter};
use crate::{
    domain::{
        Ambiguity, Backoff, ClientKey, Completion, DeadLetter, History, InvalidJob, Job, Lane,
        MessageMetadata, Outcome, Reason, RetryPolicy, Schedule, Sightings, TraceContext, Verdict,
    },
    metrics::{InState, JobState, Metrics},
    ports::{Clock, UnknownClient, jitter},
    spans::JobSpan,
};

/// A delivery is requeued after this time in flight. RabbitMQ ends a consumer that holds a delivery for
/// longer than `consumer_timeout`, by default 30 minutes.
pub const MAX_IN_FLIGHT: Duration = Duration::from_secs(600);

/// One delivery in flight.
#[derive(Debug)]
pub(super) struct JobContext {
    /// The lane of its queue.
    pub(super) lane: Lane,
    /// The history of the job.
    pub(super) history: History,
    /// The trace of the job.
    pub(super) trace: Option<TraceContext>,
    /// The span of the delivery, once the body was read.
    pub(super) span: JobSpan,
    /// The job, once the body was read.
    pub(super) job: Option<Arc<Job>>,
    /// Counts the job in the metric of jobs in flight.
    pub(super) state: InState,
    /// Cancelled when the delivery can no longer be settled.
    pub(super) lost: CancellationToken,
    /// When the delivery is requeued at the latest.
    pub(super) leave_by: Instant,
    /// The job's client, once the body was read.
    pub(super) client: ClientKey,
    /// The observations of the token in this delivery.
    pub(super) sightings: Sightings,
    /// The verdict that a check has to confirm.
    unverified: Option<Box<Unverified>>,
    in_call: bool,
    failing_since: Option<Instant>,
    /// How long calls were paused since then.
    paused_in_flight: Duration,
    before: EarlierPauses,
    backoff: Option<Backoff>,
}

/// A verdict that a check has to confirm.
#[derive(Debug)]
pub(super) struct Unverified {
    pub(super) verdict: Verdict,
    /// The ambiguity of the job before the verdict.
    pub(super) ambiguity: Option<Ambiguity>,
    /// Whether a check had no answer.
    failed: bool,
    /// The number of answered checks of all jobs, when this verdict's last check failed, or when the verdict came.
    pub(super) answered: u64,
    /// What ends the wait for the next check early.
    wakes_after: WakesAfter,
}

/// The pauses of a job that had failed before this delivery.
#[derive(Debug, Clone, Copy)]
struct EarlierPauses {
    /// How long its calls were paused until it was parked or requeued.
    paused: Duration,
    /// How long before this delivery that was; `None` for a job that had not failed.
    ago: Option<Duration>,
    delivered: Instant,
}

impl JobContext {
    /// The context of a delivery that has just arrived. Counts the delivery.
    pub(super) fn new(
        metadata: &MessageMetadata,
        lost: CancellationToken,
        metrics: &Arc<Metrics>,
        clock: &impl Clock,
    ) -> Self {
        metrics.delivered(metadata.lane, metadata.redelivered);
        Self {
            lane: metadata.lane,
            history: metadata.history.redelivered(metadata.redelivered),
            trace: metadata.trace.clone(),
            span: JobSpan::none(),
            job: None,
            state: metrics.enter(JobState::Waiting),
            lost,
            leave_by: Instant::now() + MAX_IN_FLIGHT,
            client: ClientKey::default(),
            sightings: Sightings::default(),
            unverified: None,
            in_call: false,
            failing_since: None,
            paused_in_flight: Duration::ZERO,
            before: EarlierPauses::of(&metadata.history, clock),
            backoff: None,
        }
    }

    /// Keeps the job that the body holds. Parts of the trace that show its token are dropped, because the
    /// trace goes into the headers of the call. This runs for every job, so it searches only for the token
    /// as it is; [`JobContext::trace_id`] and [`JobContext::exported_trace`] search for all of its forms.
    pub(super) fn identify(&mut self, job: Arc<Job>) -> Arc<Job> {
        self.trace = self.trace.take().and_then(|trace| {
            let redactor = job.redactor();
            trace.without(|part| redactor.shows(part))
        });
        Arc::clone(self.job.insert(job))
    }

    /// The trace id for the log. `None` for a body that is not a job: the id may be its token.
    pub(super) fn trace_id(&self) -> Option<&str> {
        let (job, trace) = self.job.as_ref().zip(self.trace.as_ref())?;
        let id = trace.trace_id();
        (!job.redactor().concerns(id)).then_some(id)
    }

    /// The trace without the parts that reveal anything of a secret, for an exported span.
    pub(super) fn exported_trace(&self) -> Option<TraceContext> {
        let (job, trace) = self.job.as_ref().zip(self.trace.as_ref())?;
        let redactor = job.redactor();
        trace.clone().without(|part| redactor.concerns(part))
    }

    /// Begins a call and counts the attempt. A job that does not return from the call may be revoked.
    pub(super) fn begin_call(&mut self) {
        self.state.switch(JobState::Calling);
        self.history.attempts = self.history.attempts.saturating_add(1);
        self.in_call = true;
    }

    /// Ends the call. `None` means that no call can be made. An attempt without a call does not count.
    pub(super) fn end_call(&mut self, verdict: Option<&Verdict>) {
        self.in_call = false;
        if !verdict.is_some_and(Verdict::is_of_a_call) {
            self.history.attempts -= 1;
        }
        match verdict {
            Some(Verdict::Transient(_)) => self.fails(),
            Some(
                Verdict::Revoked
                | Verdict::Acknowledged
                | Verdict::Accepted
                | Verdict::Gone(_)
                | Verdict::Rejected(_)
                | Verdict::Verified
                | Verdict::StillActive(_),
            )
            | None => {}
        }
    }

    /// Keeps a verdict until the token was checked. If the job leaves before that, its next call may be rejected
    /// because this one worked. `answered` is the number of answered checks of all jobs so far.
    pub(super) fn await_check(&mut self, verdict: Verdict, answered: u64) {
        let ambiguity = self.history.ambiguity;
        if !matches!(verdict, Verdict::Rejected(_)) {
            self.suspect(Some(Ambiguity::Attempt));
        }
        let wakes_after = WakesAfter::default();
        let unverified = Unverified { verdict, ambiguity, failed: false, answered, wakes_after };
        self.unverified = Some(Box::new(unverified));
    }

    /// Whether a check has to confirm a verdict.
    pub(super) const fn has_unverified(&self) -> bool {
        self.unverified.is_some()
    }

    /// Takes the verdict that a check has to confirm. The caller confirms it or keeps it again.
    pub(super) const fn take_unverified(&mut self) -> Option<Box<Unverified>> {
        self.unverified.take()
    }

    /// Keeps a verdict whose check failed, or was not made.
    pub(super) fn keep_unverified(
        &mut self,
        mut unverified: Box<Unverified>,
        wakes_after: WakesAfter,
    ) {
        unverified.failed = true;
        unverified.wakes_after = wakes_after;
        self.unverified = Some(unverified);
    }

    /// The number of answered checks of all jobs before the wait for this check.
    pub(super) fn answered_before(&self) -> Option<u64> {
        self.unverified.as_ref().map(|kept| kept.answered)
    }

    /// What ends the wait for the next check early.
    pub(super) fn wakes_after(&self) -> WakesAfter {
        self.unverified.as_ref().map(|kept| kept.wakes_after).unwrap_or_default()
    }

    /// Whether the job waits for its check when the worker stops.
    pub(super) fn stays_for_check(&self) -> bool {
        self.unverified.as_ref().is_some_and(|kept| !kept.failed || !self.is_final(kept))
    }

    /// The verdict that a check has to confirm, if it can end the job without one.
    pub(super) fn take_final_answer(&mut self) -> Option<Box<Unverified>> {
        let kept = self.unverified.take()?;
        if self.is_final(&kept) {
            return Some(kept);
        }
        self.unverified = Some(kept);
        None
    }

    /// Whether a verdict can end the job without a check: the answer is about this token, and no check found the token
    /// active after such an answer. A check in another delivery, or of a duplicate, leaves an ambiguity.
    const fn is_final(&self, kept: &Unverified) -> bool {
        matches!(kept.verdict, Verdict::Revoked)
            && kept.ambiguity.is_none()
            && self.sightings.survived == 0
    }

    /// Notes that the job is failing from now on, if it is not yet.
    pub(super) fn fails(&mut self) {
        self.failing_since.get_or_insert_with(Instant::now);
    }

    /// Adopts the shared history of duplicates, with the start of their failures. Otherwise the job would return from a
    /// retry queue with a whole hold. The start is no earlier than `hold` ago, because a job is given up by its own
    /// age.
    pub(super) fn inherit(
        &mut self,
        shared: SharedHistory,
        hold: Duration,
        now: impl FnOnce() -> SystemTime,
    ) {
        self.suspect(shared.ambiguity);
        let Some(theirs) = shared.failing_since else { return };
        let since = self.failing_since.map_or(theirs, |own| own.min(theirs));
        self.failing_since = Some(since);
        self.history.first_failed_at.get_or_insert_with(|| {
            let now = now();
            now.checked_sub(since.elapsed().min(hold)).unwrap_or(now)
        });
    }

    /// Notes that the token may already be revoked.
    pub(super) fn suspect(&mut self, ambiguity: Option<Ambiguity>) {
        self.history.ambiguity = self.history.ambiguity.max(ambiguity);
    }

    /// How long the job has been failing in this delivery, without pauses.
    pub(super) fn failing_for(&self) -> Duration {
        let elapsed = self.failing_since.map(|since| since.elapsed()).unwrap_or_default();
        elapsed.saturating_sub(self.paused_in_flight)
    }

    /// Counts the pauses since the job began to fail. `paused_within` returns how long the calls of a
    /// client were paused within the given last time.
    ///
    /// No single clock or process covers the whole time of a parked job. So its pauses are recorded when it is parked,
    /// and later pauses are counted when it returns.
    pub(super) fn count_pauses(&mut self, paused_within: impl Fn(ClientKey, Duration) -> Duration) {
        let in_flight = self.failing_since.map(|since| since.elapsed());
        if let Some(last) = in_flight {
            self.paused_in_flight = paused_within(self.client, last);
        }
        let last = self.before.ago.map(|ago| ago.saturating_add(self.before.delivered.elapsed()));
        if let Some(last) = last.or(in_flight) {
            let since = paused_within(self.client, last);
            self.history.paused =
                self.before.paused.saturating_add(since).min(History::MOST_PAUSED);
        }
    }

    /// Since when the job has been failing, with its time in retry queues.
    pub(super) fn failing_since(&self, retry: &RetryPolicy, now: SystemTime) -> Instant {
        let failing_for = retry.failing_for(&self.history, now, self.failing_for());
        let now = Instant::now();
        now.checked_sub(failing_for).unwrap_or(now)
    }

    /// Starts the waits between attempts again at the first one.
    pub(super) fn reset_waits(&mut self) {
        self.backoff = None;
    }

    /// The wait before the next attempt.
    pub(super) fn next_wait(&mut self, schedule: &Schedule) -> Duration {
        self.backoff.get_or_insert_with(|| schedule.start()).next(jitter())
    }

    /// The outcome of a body that is not a job.
    pub(super) fn invalid(&mut self, invalid: InvalidJob, now: SystemTime) -> Outcome {
        self.dead(Reason::InvalidJob, invalid.to_string(), now)
    }

    /// The outcome of a job for which no call can be made.
    pub(super) fn unknown_client(&mut self, unknown: UnknownClient, now: SystemTime) -> Outcome {
        let reason = match unknown {
            UnknownClient::Invalid(_) => Reason::InvalidJob,
            UnknownClient::NoSecret | UnknownClient::NotNamed => Reason::UnknownClient,
        };
        self.dead(reason, unknown.to_string(), now)
    }

    /// The outcome if the worker stops at once. This job, or the one that it follows, may be in a call.
    pub(super) fn cut_off(&mut self) -> Outcome {
        if self.take_final_answer().is_some() {
            return Outcome::Done(Completion::Revoked);
        }
        self.suspect(Some(if self.in_call { Ambiguity::Attempt } else { Ambiguity::Redelivered }));
        Outcome::Requeued
    }

    /// The outcome of a job during which the worker panicked.
    pub(super) fn internal_error(&mut self, now: SystemTime) -> Outcome {
        if self.in_call {
            self.history.ambiguity = Some(Ambiguity::Attempt);
        }
        let detail = "a fault inside the worker ended this job; its log shows the place".to_owned();
        self.dead(Reason::InternalError, detail, now)
    }

    fn dead(&mut self, reason: Reason, detail: String, now: SystemTime) -> Outcome {
        self.history.first_failed_at.get_or_insert(now);
        Outcome::DeadLettered(DeadLetter {
            reason,
            detail,
            code: None,
            http_status: None,
            fingerprint: self.job.as_ref().map(|job| job.fingerprint),
            dead_at: now,
        })
    }
}

impl EarlierPauses {
    fn of(history: &History, clock: &impl Clock) -> Self {
        // The clock is read only for the few jobs that failed before. If it was stepped back, there is no
        // time since the job was parked.
        let ago = history.first_failed_at.map(|_| {
            let now = clock.now();
            history.parked_at.and_then(|at| now.duration_since(at).ok()).unwrap_or_default()
        });
        Self { paused: history.paused, ago, delivered: Instant::now() }
    }
}
