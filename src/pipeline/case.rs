//! What the pipeline knows of one delivery while it is in flight.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{chance::Chance, duplicates::Past};
use crate::{
    domain::{
        Ambiguity, Arrival, Backoff, ClientKey, DeadLetter, History, InvalidJob, Job, Lane,
        Outcome, Reason, RetryPolicy, Schedule, TraceContext, Verdict,
    },
    metrics::{InState, JobState, Metrics},
    ports::{Clock, UnknownClient},
    spans::JobSpan,
};

/// Whatever has been in flight for this long without an ending goes back: RabbitMQ ends the consumer
/// that holds a delivery for longer than its `consumer_timeout`, 30 minutes by default.
pub const MAX_IN_HAND: Duration = Duration::from_secs(600);

/// One delivery in flight.
#[derive(Debug)]
pub struct Case {
    /// The lane that it came in.
    pub lane: Lane,
    /// What happened to the job so far.
    pub history: History,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
    /// Its span, once its body was read.
    pub span: JobSpan,
    /// The job, once its body was read.
    pub job: Option<Arc<Job>>,
    /// Where it is in the metric of jobs in flight.
    pub state: InState,
    /// Cancelled when it can no longer be settled.
    pub lost: CancellationToken,
    /// When it goes back, whatever it waits for.
    pub leave_by: Instant,
    /// Its client, once its body was read.
    pub client: ClientKey,
    in_call: bool,
    failing_since: Option<Instant>,
    /// How long calls were paused since then.
    paused_in_hand: Duration,
    past: Stayed,
    backoff: Option<Backoff>,
}

/// What counts pauses of a job that had failed before it came.
#[derive(Debug, Clone, Copy)]
struct Stayed {
    /// How long its calls were paused until it was put off.
    paused: Duration,
    /// How long ago that was when it came; `None` of a job that had not failed.
    ago: Option<Duration>,
    opened: Instant,
}

impl Case {
    /// Opens the case of a delivery that has just arrived.
    #[must_use]
    pub fn open(
        arrival: &Arrival,
        lost: CancellationToken,
        metrics: &Arc<Metrics>,
        clock: &impl Clock,
    ) -> Self {
        metrics.delivered(arrival.lane, arrival.redelivered);
        Self {
            lane: arrival.lane,
            history: arrival.history.redelivered(arrival.redelivered),
            trace: arrival.trace.clone(),
            span: JobSpan::none(),
            job: None,
            state: metrics.enter(JobState::Waiting),
            lost,
            leave_by: Instant::now() + MAX_IN_HAND,
            client: ClientKey::default(),
            in_call: false,
            failing_since: None,
            paused_in_hand: Duration::ZERO,
            past: Stayed::of(&arrival.history, clock),
            backoff: None,
        }
    }

    /// Keeps the job that the body turned out to be. What shows its token in a trace is a forgery: it
    /// would reach the headers of the call. Every job passes here, so only the token as it stands is looked
    /// for; [`Case::trace_id`] and [`Case::exported`] look for all of its forms.
    pub fn identify(&mut self, job: Job) -> Arc<Job> {
        self.trace = self.trace.take().and_then(|trace| {
            let redactor = job.redactor();
            trace.without(|part| redactor.shows(part))
        });
        Arc::clone(self.job.insert(Arc::new(job)))
    }

    /// The id of the trace that it belongs to, for the log. None of a body that is no job: the id may be its
    /// token, and nobody can tell.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        let (job, trace) = self.job.as_ref().zip(self.trace.as_ref())?;
        let id = trace.trace_id();
        (!job.redactor().concerns(id)).then_some(id)
    }

    /// The trace as it may leave with a span: without the parts that tell something of a secret.
    #[must_use]
    pub fn exported(&self) -> Option<TraceContext> {
        let (job, trace) = self.job.as_ref().zip(self.trace.as_ref())?;
        let redactor = job.redactor();
        trace.clone().without(|part| redactor.concerns(part))
    }

    /// Begins a call. It counts from here on: should this job not come back from it, the token may be
    /// revoked.
    pub fn calling(&mut self) -> &mut Self {
        self.state.switch(JobState::Calling);
        self.history.attempts = self.history.attempts.saturating_add(1);
        self.in_call = true;
        self
    }

    /// Ends the call; one that was never made does not count.
    pub fn called(
        &mut self,
        verdict: Result<Verdict, UnknownClient>,
    ) -> Result<Verdict, UnknownClient> {
        self.in_call = false;
        match &verdict {
            Ok(Verdict::Transient(_)) => {
                self.failing_since.get_or_insert_with(Instant::now);
            }
            Ok(Verdict::Revoked | Verdict::Rejected(_)) => {}
            Err(_) => self.history.attempts -= 1,
        }
        verdict
    }

    /// Takes over what the attempts of other jobs for the same token have shown. Since when they failed
    /// goes with the job into its stay, or back from there it would have a whole hold again; no more than
    /// the hold, for it is given up by its own age.
    pub fn inherit(&mut self, past: Past, hold: Duration, now: impl FnOnce() -> SystemTime) {
        self.suspect(past.ambiguity);
        let Some(theirs) = past.failing_since else { return };
        let since = self.failing_since.map_or(theirs, |own| own.min(theirs));
        self.failing_since = Some(since);
        self.history.first_failed_at.get_or_insert_with(|| {
            let now = now();
            now.checked_sub(since.elapsed().min(hold)).unwrap_or(now)
        });
    }

    /// Notes that the token may already be revoked.
    pub fn suspect(&mut self, ambiguity: Option<Ambiguity>) {
        self.history.ambiguity = self.history.ambiguity.max(ambiguity);
    }

    /// How long the job has been failing in flight, pauses not counted.
    #[must_use]
    pub fn failing_for(&self) -> Duration {
        let elapsed = self.failing_since.map(|since| since.elapsed()).unwrap_or_default();
        elapsed.saturating_sub(self.paused_in_hand)
    }

    /// Counts the pauses since the job began to fail. `paused_within` tells how long calls of a client were paused
    /// within the last so long. No clock and no process has seen all of a job that was parked, so each time it
    /// is put off its pauses are written down, and those since then are counted when it comes again.
    pub fn count_pauses(&mut self, paused_within: impl Fn(ClientKey, Duration) -> Duration) {
        let in_hand = self.failing_since.map(|since| since.elapsed());
        if let Some(last) = in_hand {
            self.paused_in_hand = paused_within(self.client, last);
        }
        let last = self.past.ago.map(|ago| ago.saturating_add(self.past.opened.elapsed()));
        if let Some(last) = last.or(in_hand) {
            let since = paused_within(self.client, last);
            self.history.paused = self.past.paused.saturating_add(since).min(History::MOST_PAUSED);
        }
    }

    /// Since when the job has been failing, its stays included.
    #[must_use]
    pub fn failing_since(&self, retry: &RetryPolicy, now: SystemTime) -> Instant {
        let failing_for = retry.failing_for(&self.history, now, self.failing_for());
        let now = Instant::now();
        now.checked_sub(failing_for).unwrap_or(now)
    }

    /// The wait before the next attempt.
    pub fn next_wait(&mut self, schedule: &Schedule, chance: &Chance) -> Duration {
        self.backoff.get_or_insert_with(|| schedule.start()).next(chance.draw())
    }

    /// The body is no job.
    pub fn invalid(&mut self, invalid: InvalidJob, now: SystemTime) -> Outcome {
        self.dead(Reason::InvalidJob, invalid.to_string(), now)
    }

    /// The client is not known.
    pub fn unknown(&mut self, unknown: UnknownClient, now: SystemTime) -> Outcome {
        self.dead(Reason::UnknownClient, unknown.to_string(), now)
    }

    /// The worker leaves, whatever the job was doing: it, or the one that it follows, may be in a call.
    pub fn cut_off(&mut self) -> Outcome {
        self.suspect(Some(if self.in_call { Ambiguity::Attempt } else { Ambiguity::Redelivered }));
        Outcome::HandedBack
    }

    /// The worker failed at it.
    pub fn internal_error(&mut self, now: SystemTime) -> Outcome {
        if self.in_call {
            self.history.ambiguity = Some(Ambiguity::Attempt);
        }
        let detail = "a fault inside the worker ended this job; its log tells where".to_owned();
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
            history: self.history,
            dead_at: now,
        })
    }
}

impl Stayed {
    fn of(history: &History, clock: &impl Clock) -> Self {
        // The clock is read only for the few that failed before. One that was stepped back tells of no stay.
        let ago = history.first_failed_at.map(|_| {
            let now = clock.now();
            history.parked_at.and_then(|at| now.duration_since(at).ok()).unwrap_or_default()
        });
        Self { paused: history.paused, ago, opened: Instant::now() }
    }
}
