//! The attempts of one job: permit, call, decision, backoff.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use http::StatusCode;
use tokio::time::Instant;
use tracing::warn;

use super::{Pipeline, duplicates::Leader, job_context::JobContext, verifying::end_by_answer};
use crate::{
    domain::{
        AttemptContext, Blame, Completion, Decision, Failure, Job, Outcome, ResultLabel, Symptom,
        Verdict, judge,
    },
    flow::{Admission, CallOutcome, Permit},
    metrics::JobState,
    ports::{Clock, Endpoint, UnknownClient, jitter},
    spans::CallSpan,
};

/// A call in flight.
///
/// It begins and ends for the leader, the job, the span and the permit together. Dropped before its end,
/// it leaves the leader and the job marked as in a call: the token may be revoked.
struct OngoingCall<'a> {
    leader: &'a mut Leader,
    context: &'a mut JobContext,
    permit: Permit,
    span: CallSpan,
    began: Instant,
}

/// A call that ended.
struct AnsweredCall {
    verdict: Verdict,
    /// Whether a check has to confirm the verdict.
    unverified: bool,
    /// Whether the endpoint answered another job meanwhile.
    others_answered: bool,
}

/// The next step of a job.
pub(super) enum NextStep {
    /// The decision.
    Decided(Decision),
    /// Its next call.
    Now,
    /// A check of its token, after the operator's delay.
    Check,
    /// A check of its token, once there is room.
    Postponed,
}

/// The end of a wait between attempts.
enum WaitEnd {
    /// The time is over.
    Over,
    /// Another job needs the place.
    Evicted,
    /// Checks are answered again.
    Woken,
}

impl<'a> OngoingCall<'a> {
    fn begin(leader: &'a mut Leader, context: &'a mut JobContext, permit: Permit) -> Self {
        leader.begin_call();
        context.begin_call();
        let began = Instant::now();
        let span = context.span.call(context.history.attempts);
        Self { leader, context, permit, span, began }
    }

    /// Ends the call. On an error no call was made, and the permit returns unused.
    fn end<E: Endpoint, C: Clock>(
        self,
        result: Result<Verdict, UnknownClient>,
        pipeline: &Pipeline<E, C>,
    ) -> Result<AnsweredCall, UnknownClient> {
        self.span.end(result.as_ref().ok());
        let unverified = result
            .as_ref()
            .ok()
            .filter(|verdict| pipeline.checks_after(verdict, self.context, self.leader));
        let shared = match unverified {
            Some(verdict) => self.leader.await_check(verdict),
            None => self.leader.end_call(result.as_ref().ok()),
        };
        let unverified = unverified.is_some();
        self.context.end_call(result.as_ref().ok());
        let verdict = result?;
        self.context.inherit(shared, pipeline.settings.policy.retry.hold, || pipeline.clock.now());
        if verdict.is_of_a_call() {
            pipeline.metrics.called(verdict.label(), self.began.elapsed());
        }
        let others_answered = self.permit.others_answered();
        // Of the attempts before this one: a rejection adds none. Only some endpoints reject a revoked token, and a
        // presumption ends the job without a dead letter.
        let policy = &pipeline.settings.policy;
        let explains_rejection = self.context.history.ambiguity.is_some()
            && policy.rejects_repeats
            && !policy.presume_revoked_after_ambiguity;
        let outcome = pipeline.call_outcome(&verdict, explains_rejection);
        match &verdict {
            Verdict::Transient(failure) => {
                let symptom = Symptom::of(failure);
                pipeline.failures.note(symptom, failure);
                self.permit.fail(outcome, symptom);
            }
            _ => self.permit.finish(outcome),
        }
        Ok(AnsweredCall { verdict, unverified, others_answered })
    }
}

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// Makes attempts until the job ends or has to wait elsewhere.
    pub(super) async fn call_until_decided(
        &self,
        job: &Job,
        context: &mut JobContext,
        mut leader: Leader,
    ) -> Outcome {
        let hold = self.settings.policy.retry.hold;
        context.inherit(leader.shared_history(), hold, || self.clock.now());
        let schedule = &self.settings.policy.retry.schedule;
        let outcome = loop {
            let wait = match self.next_step(job, context, &mut leader).await {
                NextStep::Decided(Decision::Finish(outcome)) => break outcome,
                NextStep::Decided(Decision::Wait { at_least }) => {
                    context.next_wait(schedule).max(at_least)
                }
                NextStep::Postponed => schedule.start().next(jitter()),
                NextStep::Now => continue,
                NextStep::Check => match self.wait_for_check(context).await {
                    Some(outcome) => break outcome,
                    None => continue,
                },
            };
            if let Some(outcome) = self.back_off(context, wait).await {
                break outcome;
            }
        };
        end_by_answer(outcome, context, &mut leader)
    }

    /// Waits for a permit, and makes a call or a check with it.
    async fn next_step(
        &self,
        job: &Job,
        context: &mut JobContext,
        leader: &mut Leader,
    ) -> NextStep {
        let finish = |outcome| NextStep::Decided(Decision::Finish(outcome));
        context.state.switch(JobState::Waiting);
        if self.has_expired(job, context) {
            return finish(Outcome::Done(Completion::Expired));
        }
        if let Some(step) = self.without_room(job, context) {
            return step;
        }
        let admission = leader.in_lane(|lane| self.flow.start(lane, context.client));
        let longest = self.longest_wait_in_pause();
        let permit = match self.unless_leaving(context, longest, admission).await {
            Some(Admission::Granted(permit)) => permit,
            Some(Admission::WaitElsewhere(wait)) => return finish(self.set_aside(context, wait)),
            None => return finish(self.leave(context)),
        };
        let is_probe = permit.is_probe();
        if self.has_expired(job, context) {
            return finish(Outcome::Done(Completion::Expired));
        }
        if self.checks_with(context, is_probe) {
            // Boxed: few jobs are checked, and all would move this future with them.
            return Box::pin(self.check(job, context, leader, permit)).await;
        }
        match self.attempt(job, context, leader, permit).await {
            // The next probe is another job's, if possible of another client.
            NextStep::Decided(Decision::Wait { at_least }) if is_probe => {
                finish(self.park(context, at_least))
            }
            step => step,
        }
    }

    /// Makes one call and decides what the job does next.
    async fn attempt(
        &self,
        job: &Job,
        context: &mut JobContext,
        leader: &mut Leader,
        permit: Permit,
    ) -> NextStep {
        let call = OngoingCall::begin(leader, context, permit);
        let own_trace = call.span.context();
        let trace = own_trace.as_ref().or(call.context.trace.as_ref());
        let result = self.endpoint.revoke(job, trace).await;
        let AnsweredCall { verdict, unverified, others_answered } = match call.end(result, self) {
            Ok(answered) => answered,
            Err(unknown) => {
                let outcome = context.unknown_client(unknown, self.clock.now());
                return NextStep::Decided(Decision::Finish(outcome));
            }
        };
        if unverified {
            context.await_check(verdict, self.checks.answered());
            return NextStep::Check;
        }
        self.count_pauses(context);
        let attempt = self.attempt_context(job, context, others_answered);
        let decision = judge(verdict, &mut context.history, &self.settings.policy, attempt);
        NextStep::Decided(decision)
    }

    /// Whether the token has expired. An answer that was given before still counts, and so does a token that was seen
    /// active after a call.
    fn has_expired(&self, job: &Job, context: &JobContext) -> bool {
        !context.has_unverified()
            && context.sightings.survived == 0
            && job.expired(|| self.clock.now())
    }

    pub(super) fn attempt_context(
        &self,
        job: &Job,
        context: &JobContext,
        others_answered: bool,
    ) -> AttemptContext {
        AttemptContext {
            now: self.clock.now(),
            failing_for: context.failing_for(),
            others_answered,
            fingerprint: job.fingerprint,
        }
    }

    /// Waits before the next attempt. Returns an outcome if there is no room to wait, or no time.
    async fn back_off(&self, context: &mut JobContext, wait: Duration) -> Option<Outcome> {
        context.state.switch(JobState::BackingOff);
        let failing_since = context.failing_since(&self.settings.policy.retry, self.clock.now());
        let mut place = self.backing_off.enter(context.lane, failing_since);
        let wakes_after = context.wakes_after();
        let waiting = async {
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => WaitEnd::Over,
                () = place.evicted() => WaitEnd::Evicted,
                () = self.checks.recovery(wakes_after) => WaitEnd::Woken,
            }
        };
        let hold = self.settings.policy.retry.hold;
        match self.unless_leaving(context, hold, waiting).await {
            None => Some(self.leave(context)),
            Some(WaitEnd::Over) => None,
            Some(WaitEnd::Evicted) => Some(self.park(context, wait)),
            Some(WaitEnd::Woken) => {
                context.reset_waits();
                None
            }
        }
    }

    /// Converts a verdict for the flow, which knows neither verdicts nor HTTP.
    /// `is_expected`: an earlier attempt may have revoked the token, so that the endpoint rejects it.
    pub(super) fn call_outcome(&self, verdict: &Verdict, is_expected: bool) -> CallOutcome {
        match verdict {
            Verdict::Revoked | Verdict::Verified | Verdict::Acknowledged | Verdict::Accepted => {
                CallOutcome::Revoked
            }
            Verdict::Rejected(_) if is_expected => CallOutcome::RejectedAsExpected,
            // With a wrong secret or environment, every token is unknown.
            Verdict::Rejected(_) | Verdict::Gone(_) | Verdict::StillActive(_) => {
                CallOutcome::Rejected
            }
            Verdict::Transient(Failure { blame: Blame::Client, .. }) => CallOutcome::Refused,
            Verdict::Transient(Failure { blame: Blame::Access, .. }) => CallOutcome::NoAccess,
            Verdict::Transient(failure) => CallOutcome::Failed {
                // The load of the token endpoint does not bound the calls of the other one.
                overload: verdict.is_of_a_call() && is_overload(failure),
                busy: verdict.is_of_a_call() && failure.label == ResultLabel::Http429,
                job_fault: failure.blame == Blame::Job,
                retry_after: failure.retry_after.map(|asked| {
                    let most = self.settings.policy.retry.retry_after_max;
                    if asked > most {
                        warn_of_clamp();
                    }
                    asked.min(most)
                }),
            },
        }
    }
}

/// Whether there are too many calls: the server says so, or no longer keeps up.
fn is_overload(failure: &Failure) -> bool {
    matches!(failure.label, ResultLabel::Http429 | ResultLabel::Timeout)
        || failure.http_status == Some(StatusCode::SERVICE_UNAVAILABLE.as_u16())
}

/// Logs once: a server that asks for a day repeats that with every response.
fn warn_of_clamp() {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        warn!("the server's Retry-After is longer than retry.retry_after_max, and is cut to it");
    }
}
