//! Checks of a token's state, before and after a call. Each takes a permit, as a call does: it counts against the limit
//! and the rate, and waits in a pause. But it is no evidence about the revoke endpoint, so its end is not reported to
//! the flow.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::sleep;
use tracing::{info, warn};

use super::{
    Pipeline,
    attempt::NextStep,
    duplicates::Leader,
    job_context::{JobContext, Unverified},
};
use crate::{
    domain::{
        CheckResult, Failure, Job, Outcome, TokenState, Verdict, VerifyWhen, judge,
        judge_failed_check,
    },
    flow::Permit,
    metrics::JobState,
    ports::{Clock, Endpoint},
};

/// This many checks in a row have no answer before the log says so. It says so once, until one is answered: a line for
/// each change would be a line for each check of an endpoint that answers every second one.
const FAILING_AFTER: u64 = 20;

/// The counts of the checks of all jobs.
#[derive(Debug, Default)]
pub struct ChecksSeen {
    /// How many were answered. A job whose checks fail is given up only while others are answered.
    answered: AtomicU64,
    /// How many failed since then.
    failed_in_a_row: AtomicU64,
}

impl ChecksSeen {
    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn note(&self, state: &Result<TokenState, Failure>) {
        match state {
            Ok(_) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                if self.failed_in_a_row.swap(0, Ordering::Relaxed) >= FAILING_AFTER {
                    info!("the introspection endpoint answers again");
                }
            }
            Err(failure) => {
                if self.failed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 == FAILING_AFTER {
                    let http_status = failure.http_status;
                    warn!(
                        result = %failure.label,
                        http_status,
                        "the introspection endpoint gives no answer: jobs wait until it does"
                    );
                }
            }
        }
    }
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
        let ambiguity = context.history.ambiguity.max(leader.shared_history().ambiguity);
        policy.checks_after(verdict, ambiguity)
    }

    /// Whether the job's next permit is for a check.
    pub(super) fn awaits_check(&self, context: &JobContext) -> bool {
        context.has_unverified() || self.settings.verify.looks_before(&context.sightings)
    }

    /// Waits for the operator's delay before a check. The job keeps its place in flight. After an eviction it would be
    /// called repeatedly, and never be checked. Returns an outcome if it has to leave.
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
        context.state.switch(JobState::Calling);
        let answered = self.checks.answered();
        let state = self.endpoint.introspect(job, context.trace.as_ref()).await;
        let others_answered = self.checks.answered() != answered;
        self.checks.note(&state);
        drop(permit);
        if state.is_err() {
            self.metrics.checked(CheckResult::Failed);
        }
        match (context.take_unverified(), state) {
            // A failed check before the call does not delay the revocation, but the proof is lost.
            (None, state) => {
                context.sightings.looked_before = true;
                context.sightings.active = state == Ok(TokenState::Active);
                NextStep::Now
            }
            (Some(unverified), Ok(state)) => {
                self.conclude(state, *unverified, job, context, leader)
            }
            (Some(unverified), Err(failure)) => {
                let taken = !matches!(unverified.verdict, Verdict::Rejected(_));
                let failure = Failure { ambiguous: taken, ..failure };
                context.keep_unverified(unverified);
                context.fails();
                self.count_pauses(context);
                let attempt = self.attempt_context(job, context, others_answered);
                let (history, policy) = (&mut context.history, &self.settings.policy);
                NextStep::Decided(judge_failed_check(&failure, history, policy, attempt))
            }
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
        let Unverified { verdict, ambiguity } = unverified;
        let (result, verdict) = self.settings.verify.judge(state, verdict, &mut context.sightings);
        self.metrics.checked(result);
        let Some(verdict) = verdict else { return NextStep::Now };
        context.history.ambiguity = ambiguity;
        if result == CheckResult::Active {
            leader.seen_active();
            context.history.ambiguity = None;
        }
        let shared = leader.end_call(Some(&verdict));
        context.inherit(shared, self.settings.policy.retry.hold, || self.clock.now());
        let attempt = self.attempt_context(job, context, true);
        let decision = judge(verdict, &mut context.history, &self.settings.policy, attempt);
        NextStep::Decided(decision)
    }
}
