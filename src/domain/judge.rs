//! From a verdict to what the job does next. A pure decision: the pipeline acts on it.

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
}

/// What a decision needs to know besides the verdict, the history and the policy.
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

/// What a job does after an attempt.
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

/// Decides what the job does after this verdict, and records the verdict in the job's history.
#[must_use]
pub fn judge(
    verdict: Verdict,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Decision {
    match verdict {
        Verdict::Revoked => Decision::Finish(Outcome::Done(Completion::Revoked)),
        Verdict::Rejected(rejection) => {
            Decision::Finish(rejected(rejection, history, policy, context))
        }
        Verdict::Transient(failure) => failed(&failure, history, policy, context),
    }
}

fn rejected(
    rejection: Rejection,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Outcome {
    // A redelivery alone proves too little to presume success. It also marks jobs that only waited,
    // and the endpoint rejects a wrong secret with the same code.
    if policy.presume_revoked_after_ambiguity && history.ambiguity == Some(Ambiguity::Attempt) {
        return Outcome::Done(Completion::PresumedRevoked);
    }
    history.first_failed_at.get_or_insert(context.now);
    history.last_error = Some(ResultLabel::Rejected);
    let said = rejection.message.as_deref().unwrap_or("it gave no text");
    let code = &rejection.code;
    let (reason, detail) = match history.ambiguity {
        None => (Reason::Rejected, format!("the endpoint answered {code}: {said}")),
        Some(Ambiguity::Attempt) => (
            Reason::RejectedAfterAmbiguity,
            format!(
                "an earlier attempt may have revoked the token; then the endpoint answered {code}: {said}"
            ),
        ),
        Some(Ambiguity::Redelivered) => (
            Reason::RejectedAfterAmbiguity,
            format!(
                "the job was delivered before and may have been called; the endpoint answered {code}: {said}"
            ),
        ),
    };
    Outcome::DeadLettered(DeadLetter {
        reason,
        detail,
        code: Some(rejection.code),
        http_status: Some(rejection.http_status),
        fingerprint: Some(context.fingerprint),
        dead_at: context.now,
    })
}

fn failed(
    failure: &Failure,
    history: &mut History,
    policy: &Policy,
    context: AttemptContext,
) -> Decision {
    let AttemptContext { now, failing_for, others_answered, fingerprint } = context;
    history.failed(failure, now);
    let at_least = failure.retry_after.unwrap_or_default().min(policy.retry.retry_after_max);
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
