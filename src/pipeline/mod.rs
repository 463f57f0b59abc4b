//! Joins source, flow and endpoint: one job as one chain of named steps.
//!
//! Delivery, job, attempts, outcome, settlement: each step takes what the one before it made. A task
//! per delivery keeps the chain readable; the prefetch bounds how many there are.

mod account;
mod backing_off;
mod call_outcome;
mod case;
mod chance;
mod crowding;
mod duplicates;
mod in_hand;
mod settings;
mod stop;
#[cfg(test)]
mod tests;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use backing_off::BackingOff;
use case::Case;
pub use case::MAX_IN_HAND;
pub use chance::Chance;
use crowding::TURN_COMES_WITHIN;
pub use duplicates::Duplicates;
use duplicates::{Entry, Followed, Follower, Leader};
use in_hand::InHand;
pub use settings::Settings;
pub use stop::Stop;

use crate::{
    domain::{
        Ambiguity, Circumstances, Ending, Job, Judgement, Outcome, Rejection, Verdict, judge,
    },
    flow::{Admission, Dispatcher, Permit},
    metrics::{JobState, Metrics},
    ports::{Clock, Delivery, Endpoint, Settled, Source, UnknownClient},
    spans::Spans,
};

/// A settlement has at least this long, however long its job was in flight before.
const SETTLE_AT_LEAST: Duration = Duration::from_secs(60);

/// Where replicas share a rate, a job waits for a call in a pause for no longer. Less, and jobs that come while the
/// consumers begin or end would go round.
const IN_PAUSE_SHARING: Duration = Duration::from_secs(1);

/// What every job passes through.
#[derive(Debug)]
pub struct Pipeline<E, C> {
    /// How jobs are read and judged.
    pub settings: Settings,
    /// What is called.
    pub endpoint: E,
    /// The time of day.
    pub clock: C,
    /// Jitter.
    pub chance: Chance,
    /// Which jobs are the same call.
    pub duplicates: Arc<Duplicates>,
    /// Room for jobs that wait between attempts.
    pub backing_off: BackingOff,
    /// Which call may start.
    pub flow: Arc<Dispatcher>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is told of jobs and calls to who follows a trace.
    pub spans: Spans,
    /// When to leave.
    pub stop: Stop,
}

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// Takes every job from the source to its settlement; returns when the source has ended and
    /// nothing is in flight any more.
    pub async fn run(self: Arc<Self>, mut source: impl Source) {
        let in_hand = Arc::new(InHand::default());
        let oldest = Arc::clone(&in_hand);
        self.metrics.on_scrape(move |metrics| metrics.oldest_job_in_flight(oldest.oldest()));
        let jobs = TaskTracker::new();
        while let Some(delivery) = source.next().await {
            let ticket = in_hand.enter();
            let pipeline = Arc::clone(&self);
            // Boxed, for a job's whole course is a future of some KiB, and spawning moves it several times.
            jobs.spawn(Box::pin(async move {
                pipeline.handle(delivery).await;
                drop(ticket);
            }));
        }
        jobs.close();
        jobs.wait().await;
    }

    /// One delivery, from its arrival to its settlement.
    async fn handle(&self, delivery: impl Delivery) {
        let mut case = Case::open(delivery.arrival(), delivery.lost(), &self.metrics, &self.clock);
        let outcome = self.shielded(&delivery, &mut case).await;
        if matches!(outcome, Outcome::HandedBack) {
            self.put_off(&mut case);
        }
        let origin = Self::origin(&delivery, &case, &outcome);
        let settled = self.settle(delivery, &outcome, &mut case).await;
        self.account(&origin, &case, &outcome, &settled);
        case.span.end(&outcome, &settled);
    }

    /// A panic inside one job ends that job and nothing else.
    async fn shielded(&self, delivery: &impl Delivery, case: &mut Case) -> Outcome {
        let deciding = AssertUnwindSafe(self.decide(delivery, case)).catch_unwind();
        let decided = tokio::select! {
            biased;
            () = self.stop.cut() => None,
            decided = deciding => Some(decided),
        };
        match decided {
            None => case.cut_off(),
            Some(decided) => decided.unwrap_or_else(|_panic| case.internal_error(self.clock.now())),
        }
    }

    async fn decide(&self, delivery: &impl Delivery, case: &mut Case) -> Outcome {
        match self.accept(delivery.body(), case) {
            Ok(job) => self.once(&job, case).await,
            Err(refusal) => *refusal,
        }
    }

    /// Makes one call for all jobs in flight that ask for the same, and none for what was done already.
    async fn once(&self, job: &Job, case: &mut Case) -> Outcome {
        match self.duplicates.enter(job.key(), case.lane, case.history.ambiguity) {
            Entry::Duplicate => Outcome::Done(Ending::Duplicate),
            Entry::Leader(leader) => self.pursue(job, case, leader).await,
            // Boxed, for most jobs follow nobody, and what they might wait for would be moved with each of them.
            Entry::Follower(follower) => Box::pin(self.follow(follower, job, case)).await,
        }
    }

    /// Waits for the verdict on another job's call for the same token.
    async fn follow(&self, follower: Follower, job: &Job, case: &mut Case) -> Outcome {
        // Not handed back when draining starts: the verdict may be under way, and the call that the
        // job would get elsewhere be rejected for it. A leader that only waits leaves at once, and
        // its followers lead and leave one after the other.
        // It takes a place of those that wait: copies of one stuck token must not fill the lane.
        let mut place = self.backing_off.enter(case.lane, Instant::now());
        let ended = tokio::select! {
            biased;
            ended = follower.outcome() => Ok(ended),
            () = place.evicted() => Err(true),
            () = case.lost.cancelled() => Err(false),
            () = self.overstayed(self.settings.policy.retry.hold, case) => Err(false),
        };
        drop(place);
        let ended = match ended {
            Ok(ended) => ended,
            Err(no_room) => {
                // The other job's call may be under way.
                case.suspect(Some(Ambiguity::Redelivered));
                let parks = no_room && !self.stop.is_draining();
                return if parks {
                    self.set_aside(case, Duration::ZERO)
                } else {
                    Outcome::HandedBack
                };
            }
        };
        match ended {
            Followed::Duplicate => Outcome::Done(Ending::Duplicate),
            Followed::Rejected(rejection, ambiguity) => {
                case.suspect(ambiguity);
                self.rejected(rejection, job, case)
            }
            Followed::Lead(leader) => self.pursue(job, case, leader).await,
        }
    }

    /// The verdict on another job's call for the same token is this one's as well.
    fn rejected(&self, rejection: Rejection, job: &Job, case: &mut Case) -> Outcome {
        let around = self.around(job, case, false);
        let verdict = Verdict::Rejected(rejection);
        match judge(verdict, &mut case.history, &self.settings.policy, around) {
            Judgement::Finish(outcome) => outcome,
            // No rejection is waited out; should that change, the job comes again.
            Judgement::Wait { .. } => Outcome::HandedBack,
        }
    }

    /// From a body to a job that can be called.
    fn accept(&self, body: &[u8], case: &mut Case) -> Result<Arc<Job>, Box<Outcome>> {
        let job = Job::parse(body, &self.settings.defaults)
            .map_err(|invalid| Box::new(case.invalid(invalid, self.clock.now())))?;
        if job.carried_client_secret.is_some() {
            self.note_ignored_secret();
        }
        let job = case.identify(job);
        case.span = self.spans.job(case.lane, job.fingerprint, || case.exported());
        case.trace = case.trace.take().or_else(|| case.span.context());
        case.client = self
            .endpoint
            .admit(&job)
            .map_err(|unknown| Box::new(case.unknown(unknown, self.clock.now())))?;
        Ok(job)
    }

    /// Attempts until the job ends or has to wait elsewhere.
    async fn pursue(&self, job: &Job, case: &mut Case, mut leader: Leader) -> Outcome {
        let hold = self.settings.policy.retry.hold;
        case.inherit(leader.past(), hold, || self.clock.now());
        loop {
            case.state.switch(JobState::Waiting);
            if job.expired(|| self.clock.now()) {
                return Outcome::Done(Ending::Expired);
            }
            let turn = leader.in_lane(|lane| self.flow.start(lane, case.client));
            let permit = match self.unless_leaving(case, self.longest_in_pause(), turn).await {
                Some(Admission::Granted(permit)) => permit,
                Some(Admission::Stalled(wait)) => return self.set_aside(case, wait),
                None => return self.leave(case),
            };
            let probe = permit.is_probe();
            if job.expired(|| self.clock.now()) {
                return Outcome::Done(Ending::Expired);
            }
            let judgement = match self.attempt(job, case, &mut leader, permit).await {
                Ok(judgement) => judgement,
                Err(unknown) => return case.unknown(unknown, self.clock.now()),
            };
            let wait = match judgement {
                Judgement::Finish(outcome) => return outcome,
                // The next probe is another job's, of another client if there is one.
                Judgement::Wait { at_least } if probe => return self.park(case, at_least),
                Judgement::Wait { at_least } => {
                    case.next_wait(&self.settings.policy.retry.schedule, &self.chance).max(at_least)
                }
            };
            if let Some(outcome) = self.back_off(case, wait).await {
                return outcome;
            }
        }
    }

    /// One call and what it means for the job.
    async fn attempt(
        &self,
        job: &Job,
        case: &mut Case,
        leader: &mut Leader,
        permit: Permit,
    ) -> Result<Judgement, UnknownClient> {
        leader.calling();
        let calling = case.calling();
        let began = Instant::now();
        let span = calling.span.call(calling.history.attempts);
        let context = span.context();
        let trace = context.as_ref().or(calling.trace.as_ref());
        let verdict = self.endpoint.revoke(job, trace).await;
        span.end(verdict.as_ref().ok());
        let past = leader.called(verdict.as_ref().ok());
        let verdict = calling.called(verdict)?;
        case.inherit(past, self.settings.policy.retry.hold, || self.clock.now());
        self.metrics.called(verdict.label(), began.elapsed());
        let others_answered = permit.others_answered();
        permit.finish(self.call_outcome(&verdict));
        self.count_pauses(case);
        let around = self.around(job, case, others_answered);
        Ok(judge(verdict, &mut case.history, &self.settings.policy, around))
    }

    fn around(&self, job: &Job, case: &Case, others_answered: bool) -> Circumstances {
        Circumstances {
            now: self.clock.now(),
            failing_for: case.failing_for(),
            others_answered,
            fingerprint: job.fingerprint,
        }
    }

    /// Waits before the next attempt; ends the delivery if there is no room to wait in, or no time.
    async fn back_off(&self, case: &mut Case, wait: Duration) -> Option<Outcome> {
        case.state.switch(JobState::BackingOff);
        let failing_since = case.failing_since(&self.settings.policy.retry, self.clock.now());
        let mut place = self.backing_off.enter(case.lane, failing_since);
        let waiting = async {
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => true,
                () = place.evicted() => false,
            }
        };
        let hold = self.settings.policy.retry.hold;
        match self.unless_leaving(case, hold, waiting).await {
            None => Some(self.leave(case)),
            Some(true) => None,
            Some(false) => Some(self.park(case, wait)),
        }
    }

    /// Sends the job to its next stay in a retry queue, for `wait` at least.
    fn park(&self, case: &mut Case, wait: Duration) -> Outcome {
        self.count_pauses(case);
        let now = self.clock.now();
        Outcome::Parked(self.settings.policy.retry.park(&mut case.history, wait, now))
    }

    /// Sends the job to a retry queue for `wait`, for no failure of its own.
    fn set_aside(&self, case: &mut Case, wait: Duration) -> Outcome {
        self.count_pauses(case);
        let now = self.clock.now();
        Outcome::Parked(self.settings.policy.retry.set_aside(&case.history, wait, now))
    }

    /// Notes when the job goes back, for a source that keeps its history: a queue keeps the message as it was.
    fn put_off(&self, case: &mut Case) {
        self.count_pauses(case);
        case.history.parked_at = Some(self.clock.now());
    }

    /// Brings the pauses in the job's history up to date.
    fn count_pauses(&self, case: &mut Case) {
        case.count_pauses(|client, last| self.flow.paused_within(client, last));
    }

    /// Leaves without a verdict. Handed back, a job is what it was when it came, but for the broker's
    /// flag. So it is parked instead where something must not be forgotten: an attempt that may have worked.
    /// The same holds of a job that has failed in a crowded lane.
    fn leave(&self, case: &mut Case) -> Outcome {
        let may_have_worked = case.history.ambiguity == Some(Ambiguity::Attempt);
        let crowded_out =
            self.backing_off.is_crowded(case.lane) && case.failing_for() > Duration::ZERO;
        let goes_on = !self.stop.is_draining() && !case.lost.is_cancelled();
        if goes_on && (may_have_worked || crowded_out) {
            self.park(case, Duration::ZERO)
        } else {
            Outcome::HandedBack
        }
    }

    /// Waits, unless the worker stops, or the job has been in flight for too long.
    async fn unless_leaving<T>(
        &self,
        case: &Case,
        in_pause: Duration,
        wait: impl Future<Output = T>,
    ) -> Option<T> {
        if self.stop.is_draining() || case.lost.is_cancelled() {
            return None;
        }
        tokio::select! {
            biased;
            done = wait => Some(done),
            () = self.stop.drain() => None,
            () = case.lost.cancelled() => None,
            () = self.overstayed(in_pause, case) => None,
        }
    }

    /// How long a job may wait for a call in a pause. Where replicas share a rate it makes room at once, or its lane
    /// could not consume again after the pause, and would get no share.
    fn longest_in_pause(&self) -> Duration {
        let hold = self.settings.policy.retry.hold;
        if self.flow.shares_rate() { hold.min(IN_PAUSE_SHARING) } else { hold }
    }

    /// Waits for longer than a job may in a pause (`hold`) or in a crowded lane, and at most until it has to leave.
    /// While calls are made it may wait, for its turn comes. One timer at a time: this stands beside every wait of
    /// every job.
    async fn overstayed(&self, hold: Duration, case: &Case) {
        let left = case.leave_by.saturating_duration_since(Instant::now());
        let at_first = TURN_COMES_WITHIN.min(hold).min(left);
        tokio::time::sleep(at_first).await;
        // Boxed, for few jobs wait for so long.
        Box::pin(async {
            tokio::select! {
                biased;
                () = self.overstayed_in_pause(hold.min(left).saturating_sub(at_first), hold < left, case) => {}
                () = self.backing_off.crowded_out(case.lane) => {}
            }
        })
        .await;
    }

    /// Waits for `hold` and, where the job need not leave then, for a pause or until it has to leave.
    async fn overstayed_in_pause(&self, hold: Duration, has_time: bool, case: &Case) {
        tokio::time::sleep(hold).await;
        if has_time {
            tokio::select! {
                biased;
                () = self.flow.not_running() => {}
                () = tokio::time::sleep_until(case.leave_by) => {}
            }
        }
    }

    async fn settle(&self, delivery: impl Delivery, outcome: &Outcome, case: &mut Case) -> Settled {
        case.state.switch(JobState::Settling);
        // A queue that takes no letters for longer than a broker leaves a delivery with its consumer.
        let overdue = async {
            let leave_by = case.leave_by.max(Instant::now() + SETTLE_AT_LEAST);
            tokio::time::sleep_until(leave_by).await;
        };
        tokio::select! {
            biased;
            settled = delivery.settle(outcome.settlement(&case.history)) => settled,
            // Dropped without a settlement, the delivery goes back.
            () = self.stop.cut() => Settled::HandedBack,
            () = overdue => Settled::HandedBack,
        }
    }
}
