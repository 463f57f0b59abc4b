//! Decides the next step of a job from a verdict. The decision is pure: the pipeline carries it out.

use std::time::{Duration, SystemTime};

use super::{
    fingerprint::Fingerprint,
    history::{Ambiguity, History},
    outcome::{Completion, DeadLetter, Outcome, Reason},
    retry::{Retry, RetryPolicy},
    verdict::{Failure, Rejection, ResultLabel, Verdict},
};

/// The operator's choices.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// When to wait, park and give up.
    pub retry: RetryPolicy,
    /// Whether a rejection after an ambiguous attempt of ours counts as revoked.
    pub presume_revoked_after_ambiguity: bool,
    /// Whether the endpoint may reject the second of two calls for one token because the first one worked.
    pub rejects_repeats: bool,
    /// The policy for a job whose token does not exist any more.
    pub gone: GonePolicy,
}

/// The policy for a job whose token does not exist any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GonePolicy {
    /// It is done.
    Settle,
    /// It is dead-lettered for an operator to inspect.
    DeadLetter,
}

/// The context of a decision, besides the verdict, the history and the policy.
#[derive(Debug, Clone, Copy)]
pub struct AttemptContext {
    /// The time of day.
    pub now: SystemTime,
    /// How long the job has been failing in flight, without pauses.
    pub failing_for: Duration,
    /// Whether the endpoint answered another job since this attempt began.
    pub others_answered: bool,
    /// The token's fingerprint.
    pub fingerprint: Fingerprint,
}

/// The next step of a job after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This delivery ends.
    Finish(Outcome),
    /// The job stays in flight, waits and gets another attempt.
    Wait {
        /// The wait is no shorter than this: the server's `Retry-After`, clamped.
        at_least: Duration,
    },
}

/// Decides the job's next step after this verdict, and records the verdict in the job's history.
#[must_use]
pub fn judge(
    verdict: Verdict,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Decision {
    match verdict {
        Verdict::Revoked => Decision::Finish(Outcome::Done(Completion::Revoked)),
        Verdict::Acknowledged => Decision::Finish(acknowledged()),
        Verdict::Accepted => Decision::Finish(Outcome::Done(Completion::Accepted)),
        Verdict::Gone(answer) => Decision::Finish(gone(answer, history, policy, context)),
        Verdict::Verified => {
            history.verified = true;
            Decision::Finish(Outcome::Done(Completion::Revoked))
        }
        Verdict::StillActive(answer) => Decision::Finish(still_active(answer, history, context)),
        Verdict::Rejected(rejection) => {
            Decision::Finish(rejected(rejection, history, policy, context))
        }
        Verdict::Transient(failure) => failed(&failure, history, policy, context),
    }
}

/// The only conversion of an acknowledgement to an outcome. An acknowledgement proves less than a revocation, unless a
/// check shows that the token is dead.
const fn acknowledged() -> Outcome {
    Outcome::Done(Completion::Acknowledged)
}

fn gone(
    answer: Rejection,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Outcome {
    if policy.gone == GonePolicy::Settle {
        return Outcome::Done(Completion::Gone);
    }
    history.first_failed_at.get_or_insert(context.now);
    history.last_error = Some(ResultLabel::Gone);
    let detail = format!("the token does not exist any more: {}", said(&answer));
    dead(Reason::Gone, detail, answer, context)
}

/// Decides what the job does after a check of its token that failed, and records that in the job's history. As after a
/// call, the job waits, is parked, and is given up only while other jobs are checked. Its age may be the time of an
/// outage, so it is also given up only after a whole hold of such checks in this delivery.
#[must_use]
pub fn judge_failed_check(
    failure: &Failure,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Decision {
    let decision = failed(failure, history, policy, context);
    match decision {
        Decision::Finish(Outcome::DeadLettered(_)) if context.failing_for < policy.retry.hold => {
            Decision::Wait { at_least: asked_wait(failure, policy) }
        }
        Decision::Finish(Outcome::DeadLettered(letter)) => {
            let detail = format!(
                "the endpoint answered, and nobody knows whether the token is dead: no check was answered while others \
                 were; the last one ended as {}",
                failure.label
            );
            Decision::Finish(Outcome::DeadLettered(DeadLetter { detail, ..letter }))
        }
        decision => decision,
    }
}

/// Decides what the job does if its check was not made because too many checks fail, and records in the job's history
/// that it waits. As a failed check of its own, this parks the job after a whole hold. But it proves nothing about the
/// job, so it neither gives the job up nor sets its last error. `ambiguous`: an earlier call may have worked.
#[must_use]
pub fn judge_postponed_check(
    ambiguous: bool,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Decision {
    let AttemptContext { now, failing_for, .. } = context;
    history.first_failed_at.get_or_insert(now);
    if ambiguous {
        history.ambiguity = Some(Ambiguity::Attempt);
    }
    if policy.retry.failing_for(history, now, failing_for) < policy.retry.hold {
        return Decision::Wait { at_least: Duration::ZERO };
    }
    Decision::Finish(Outcome::Parked(policy.retry.park(history, Duration::ZERO, now)))
}

fn still_active(answer: ResultLabel, history: &mut History, context: AttemptContext) -> Outcome {
    history.first_failed_at.get_or_insert(context.now);
    history.last_error = Some(answer);
    // No call of ours explains the rejection: the token survived all of them.
    history.ambiguity = None;
    // No count: a job that followed another one's calls made none.
    Outcome::DeadLettered(DeadLetter {
        reason: Reason::StillActive,
        detail: format!(
            "introspection calls the token active after each call, of which the last one ended as {answer}"
        ),
        code: None,
        http_status: None,
        fingerprint: Some(context.fingerprint),
        dead_at: context.now,
    })
}

fn rejected(
    rejection: Rejection,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Outcome {
    // A redelivery alone proves too little to presume success. It also marks jobs that only waited,
    // and the endpoint rejects a wrong secret with the same code.
    let presumes = policy.presume_revoked_after_ambiguity && policy.rejects_repeats;
    if presumes && history.ambiguity == Some(Ambiguity::Attempt) {
        return Outcome::Done(Completion::PresumedRevoked);
    }
    history.first_failed_at.get_or_insert(context.now);
    history.last_error = Some(ResultLabel::Rejected);
    // Without such a rule of the endpoint, an earlier call explains no rejection.
    let ambiguity = history.ambiguity.filter(|_| policy.rejects_repeats);
    let said = said(&rejection);
    let (reason, detail) = match ambiguity {
        None => (Reason::Rejected, said),
        Some(Ambiguity::Attempt) => (
            Reason::RejectedAfterAmbiguity,
            format!("an earlier attempt may have revoked the token; then {said}"),
        ),
        Some(Ambiguity::Redelivered) => (
            Reason::RejectedAfterAmbiguity,
            format!("the job was delivered before and may have been called; {said}"),
        ),
    };
    dead(reason, detail, rejection, context)
}

/// A short text of the endpoint's answer.
fn said(answer: &Rejection) -> String {
    let text = answer.message.as_deref().unwrap_or("it gave no text");
    match answer.code.as_str() {
        "" => format!("the endpoint answered with status {}: {text}", answer.http_status),
        code => format!("the endpoint answered {code}: {text}"),
    }
}

fn dead(reason: Reason, detail: String, answer: Rejection, context: AttemptContext) -> Outcome {
    Outcome::DeadLettered(DeadLetter {
        reason,
        detail,
        code: Some(answer.code).filter(|code| !code.is_empty()),
        http_status: Some(answer.http_status),
        fingerprint: Some(context.fingerprint),
        dead_at: context.now,
    })
}

/// How long the server asks to wait, within the operator's limit.
fn asked_wait(failure: &Failure, policy: &Policy) -> Duration {
    failure.retry_after.unwrap_or_default().min(policy.retry.retry_after_max)
}

fn failed(
    failure: &Failure,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Decision {
    let AttemptContext { now, failing_for, others_answered, fingerprint } = context;
    history.failed(failure, now);
    let at_least = asked_wait(failure, policy);
    match policy.retry.after_failure(history, now, failing_for, others_answered) {
        Retry::Wait => Decision::Wait { at_least },
        Retry::Park => Decision::Finish(Outcome::Parked(policy.retry.park(history, at_least, now))),
        Retry::GiveUp => Decision::Finish(Outcome::DeadLettered(DeadLetter {
            reason: Reason::Exhausted,
            detail: format!(
                "no answer of the endpoint in {} calls while others were answered; the last one ended as {}",
                history.attempts, failure.label
            ),
            code: None,
            http_status: failure.http_status,
            fingerprint: Some(fingerprint),
            dead_at: now,
        })),
    }
}

#[cfg(test)]
mod tests;
