//! Checks of a token's state, before and after a call. Each takes a permit, as a call does: it counts against the limit
//! and the rate. But it is no evidence about the revoke endpoint, so its end is not reported to the flow, and it is no
//! probe.

use std::{
    pin::pin,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{
    Pipeline,
    attempt::NextStep,
    duplicates::Leader,
    job_context::{JobContext, Unverified},
};
use crate::{
    domain::{
        Ambiguity, CheckResult, Completion, Decision, Failure, Job, Outcome, ResultLabel, Symptom,
        TokenState, Verdict, VerifyWhen, judge, judge_failed_check, judge_postponed_check,
    },
    flow::Permit,
    metrics::JobState,
    ports::{Clock, Endpoint},
};

/// After this many checks in a row without an answer, the log says so, once until one is answered. With one line for
/// each change, an endpoint that answers every second check would cause a line for each check.
const FAILING_AFTER: u64 = 20;

/// After this many checks in a row without an answer, one is made at a time, until one is answered.
const ONE_AT_A_TIME_AFTER: u64 = 5;

/// The longest time that a check holds its permit, and the longest time of a check before the call.
const PATIENCE: Duration = Duration::from_secs(5);

/// The counts of the checks of all jobs.
///
/// There is one count for all clients, because all checks ask the same endpoint, as the same client of its own.
#[derive(Debug, Default)]
pub struct ChecksSeen {
    /// How many were answered. A job whose checks fail is given up only while others are answered.
    answered: AtomicU64,
    /// How many failed since then.
    failed_in_a_row: AtomicU64,
    /// How many are under way.
    running: AtomicUsize,
    /// How often a check was answered after so many failures that checks were made one at a time.
    recoveries: watch::Sender<u64>,
}

/// A check under way.
struct RunningCheck<'a>(&'a ChecksSeen);

/// Which recovery of the introspection endpoint ends the wait of a job for its next check.
///
/// A job is not woken if its check failed although others had been answered before. Such a failure may be its own, and
/// would end the waits of many such jobs again and again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WakesAfter(Option<u64>);

impl Drop for RunningCheck<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ChecksSeen {
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whether one more check may be made. While checks fail, there is one at a time.
    fn has_room(&self) -> bool {
        self.has_room_beside(self.running.load(Ordering::Relaxed))
    }

    fn has_room_beside(&self, others: usize) -> bool {
        others == 0 || self.failed_in_a_row.load(Ordering::Relaxed) < ONE_AT_A_TIME_AFTER
    }

    /// Begins a check; `None` without room.
    fn begin(&self) -> Option<RunningCheck<'_>> {
        let others = self.running.fetch_add(1, Ordering::Relaxed);
        let running = RunningCheck(self);
        self.has_room_beside(others).then_some(running)
    }

    /// The next recovery ends the wait.
    fn next_recovery(&self) -> WakesAfter {
        WakesAfter(Some(*self.recoveries.borrow()))
    }

    /// Waits for that recovery.
    pub(super) async fn recovery(&self, WakesAfter(seen): WakesAfter) {
        let Some(seen) = seen else { return std::future::pending().await };
        // Boxed: few jobs wait for one, and all would move this future with them.
        Box::pin(async {
            // The sender is dropped only with these counts, which this borrow keeps alive.
            let _ = self.recoveries.subscribe().wait_for(|recoveries| *recoveries != seen).await;
        })
        .await;
    }

    fn note(&self, state: &Result<TokenState, Failure>) {
        match state {
            Ok(_) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                let failed = self.failed_in_a_row.swap(0, Ordering::Relaxed);
                if failed >= ONE_AT_A_TIME_AFTER {
                    self.recoveries.send_modify(|recoveries| *recoveries += 1);
                }
                if failed >= FAILING_AFTER {
                    info!("the introspection endpoint answers again");
                }
            }
            Err(failure) => {
                if self.failed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 == FAILING_AFTER {
                    let http_status = failure.http_status;
                    warn!(
                        cause = %Symptom::of_check(failure),
                        result = %failure.label,
                        http_status,
                        "checks of tokens fail: jobs wait until one is answered"
                    );
                }
            }
        }
    }
}

/// The end of a job that leaves before its check. An answer "revoked" counts without one. In another call, the endpoint
/// could reject the token because it is revoked.
pub(super) fn end_by_answer(
    outcome: Outcome,
    context: &mut JobContext,
    leader: &mut Leader,
) -> Outcome {
    if matches!(outcome, Outcome::Done(_)) {
        return outcome;
    }
    let Some(said) = context.take_final_answer() else { return outcome };
    context.history.ambiguity = said.ambiguity;
    leader.end_call(Some(&said.verdict));
    Outcome::Done(Completion::Revoked)
}

/// Continues without a check before the call. It must not delay the revocation, but the proof is lost.
const fn skip_look(context: &mut JobContext) -> NextStep {
    context.sightings.looked_before = true;
    NextStep::Now
}

/// Whether the next call may be rejected because an earlier one worked.
const fn may_have_worked(unverified: &Unverified, context: &JobContext) -> bool {
    context.sightings.survived > 0 || !matches!(unverified.verdict, Verdict::Rejected(_))
}

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// Whether a check has to confirm this verdict before it is reported.
    pub(super) fn checks_after(
        &self,
        verdict: &Verdict,
        context: &JobContext,
        leader: &Leader,
    ) -> bool {
        let policy = &self.settings.verify;
        if policy.when == VerifyWhen::Never {
            return false;
        }
        // A token that was seen active after a call may have died since.
        let survived = (context.sightings.survived > 0).then_some(Ambiguity::Attempt);
        let ambiguity = context.history.ambiguity.max(leader.shared_history().ambiguity);
        policy.checks_after(verdict, ambiguity.max(survived))
    }

    /// Whether the job's permit is for a check. A probe has to be a call. While checks fail, a call is not
    /// delayed by one: without a check before the call, only the proof is lost.
    pub(super) fn checks_with(&self, context: &mut JobContext, is_probe: bool) -> bool {
        if context.has_unverified() {
            return true;
        }
        if !self.settings.verify.looks_before(&context.sightings) {
            return false;
        }
        let looks = !is_probe && self.checks.has_room();
        context.sightings.looked_before = !looks;
        looks
    }

    /// Waits for the operator's delay before a check. The job keeps its place in flight: if it left, it would be called
    /// repeatedly and never checked. Returns an outcome if it has to leave.
    pub(super) async fn wait_for_check(&self, context: &mut JobContext) -> Option<Outcome> {
        let delay = self.settings.verify.delay;
        if delay.is_zero() {
            return None;
        }
        context.state.switch(JobState::BackingOff);
        let hold = self.settings.policy.retry.hold;
        match self.unless_leaving(context, hold, sleep(delay)).await {
            Some(()) => None,
            None => Some(self.leave(context)),
        }
    }

    /// Makes one check and decides what the job does next.
    pub(super) async fn check(
        &self,
        job: &Job,
        context: &mut JobContext,
        leader: &mut Leader,
        permit: Permit,
    ) -> NextStep {
        let mut wakes_after = self.checks.next_recovery();
        let Some(running) = self.checks.begin() else {
            drop(permit);
            return self.postpone(wakes_after, job, context);
        };
        if context.answered_before() != Some(self.checks.answered()) {
            wakes_after = WakesAfter::default();
        }
        context.state.switch(JobState::Calling);
        let state = self.ask(job, context, permit).await;
        drop(running);
        self.checks.note(&state);
        if let Err(failure) = &state {
            self.failures.note(Symptom::of_check(failure), failure);
        }
        let state = match state {
            Ok(state) => state,
            Err(failure) => {
                self.metrics.checked(CheckResult::Failed);
                return self.unanswered(failure, wakes_after, job, context);
            }
        };
        if let Some(unverified) = context.take_unverified() {
            return self.conclude(state, *unverified, job, context, leader);
        }
        context.sightings.looked_before = true;
        context.sightings.active = state == TokenState::Active;
        NextStep::Now
    }

    /// Requests the state of the token. After [`PATIENCE`], a check before the call is given up, and a check after it
    /// continues without its permit. The permit of a probe goes to the next job at once.
    async fn ask(
        &self,
        job: &Job,
        context: &JobContext,
        permit: Permit,
    ) -> Result<TokenState, Failure> {
        let permit = (!permit.is_probe()).then_some(permit);
        let mut asking = pin!(self.endpoint.introspect(job, context.trace.as_ref()));
        if let Ok(state) = timeout(PATIENCE, asking.as_mut()).await {
            return state;
        }
        if !context.has_unverified() {
            return Err(Failure::unanswered(ResultLabel::Timeout, false));
        }
        drop(permit);
        asking.await
    }

    /// Decides what a job does after a check without an answer. Checks of other jobs count as answered since the last
    /// failed check of this job. A check that fails at once overlaps with hardly any other.
    fn unanswered(
        &self,
        failure: Failure,
        wakes_after: WakesAfter,
        job: &Job,
        context: &mut JobContext,
    ) -> NextStep {
        let Some(mut unverified) = context.take_unverified() else {
            return skip_look(context);
        };
        let failure = Failure { ambiguous: may_have_worked(&unverified, context), ..failure };
        let answered = self.checks.answered();
        let others_answered = answered != unverified.answered;
        unverified.answered = answered;
        context.keep_unverified(unverified, wakes_after);
        context.fails();
        self.count_pauses(context);
        let attempt = self.attempt_context(job, context, others_answered);
        let (history, policy) = (&mut context.history, &self.settings.policy);
        NextStep::Decided(judge_failed_check(&failure, history, policy, attempt))
    }

    /// Postpones the check of a job that waits for one, while there is no room. Without it, each such job would
    /// take a permit and a start of the rate to find that out.
    pub(super) fn without_room(&self, job: &Job, context: &mut JobContext) -> Option<NextStep> {
        if !context.has_unverified() {
            return None;
        }
        let wakes_after = self.checks.next_recovery();
        (!self.checks.has_room()).then(|| self.postpone(wakes_after, job, context))
    }

    /// Decides what a job does whose check was not made, for lack of room. That is no failure of the job: its next wait
    /// is not longer, and it is not given up. It is parked after a whole hold without an answer.
    fn postpone(&self, wakes_after: WakesAfter, job: &Job, context: &mut JobContext) -> NextStep {
        let Some(unverified) = context.take_unverified() else {
            return skip_look(context);
        };
        let ambiguous = may_have_worked(&unverified, context);
        context.keep_unverified(unverified, wakes_after);
        context.fails();
        self.count_pauses(context);
        let attempt = self.attempt_context(job, context, false);
        let (history, policy) = (&mut context.history, &self.settings.policy);
        match judge_postponed_check(ambiguous, history, policy, attempt) {
            Decision::Wait { .. } => NextStep::Postponed,
            finish @ Decision::Finish(_) => NextStep::Decided(finish),
        }
    }

    /// Judges a verdict by the state of the token, and sends the confirmed verdict to the followers.
    fn conclude(
        &self,
        state: TokenState,
        unverified: Unverified,
        job: &Job,
        context: &mut JobContext,
        leader: &mut Leader,
    ) -> NextStep {
        let Unverified { verdict, ambiguity, .. } = unverified;
        let (result, verdict) = self.settings.verify.judge(state, verdict, &mut context.sightings);
        self.metrics.checked(result);
        context.history.ambiguity = ambiguity;
        if result == CheckResult::Active {
            leader.seen_active();
            context.history.ambiguity = None;
        }
        let Some(verdict) = verdict else { return NextStep::Now };
        let shared = leader.end_call(Some(&verdict));
        context.inherit(shared, self.settings.policy.retry.hold, || self.clock.now());
        let attempt = self.attempt_context(job, context, true);
        let decision = judge(verdict, &mut context.history, &self.settings.policy, attempt);
        NextStep::Decided(decision)
    }
}
