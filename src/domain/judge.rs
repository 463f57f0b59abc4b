//! From what one attempt showed to what the job does next: judged here, acted on elsewhere.

use std::time::{Duration, SystemTime};

use super::{
    fingerprint::Fingerprint,
    history::{Ambiguity, History},
    outcome::{DeadLetter, Ending, Outcome, Reason},
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

/// What a verdict is judged against.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// The wall clock.
    pub now: SystemTime,
    /// How long the job has been failing in flight, pauses not counted.
    pub failing_for: Duration,
    /// Whether the endpoint answered another job since this attempt began.
    pub others_answered: bool,
    /// The token's fingerprint.
    pub fingerprint: Fingerprint,
}

/// What a job does after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// This delivery is over.
    Finish(Outcome),
    /// It waits, still in flight, and is tried again.
    Wait {
        /// The server's wish, clamped: the wait is no shorter.
        at_least: Duration,
    },
}

/// Judges a verdict and notes it in the job's history.
#[must_use]
pub fn judge(
    verdict: Verdict,
    history: &mut History,
    policy: &Policy,
    around: Circumstances,
) -> Judgement {
    match verdict {
        Verdict::Revoked => Judgement::Finish(Outcome::Done(Ending::Revoked)),
        Verdict::Rejected(rejection) => {
            Judgement::Finish(rejected(rejection, history, policy, around))
        }
        Verdict::Transient(failure) => failed(&failure, history, policy, around),
    }
}

fn rejected(
    rejection: Rejection,
    history: &mut History,
    policy: &Policy,
    around: Circumstances,
) -> Outcome {
    // The flag of redelivery alone proves too little to presume success: it also marks jobs that
    // were only ever waiting, and a wrong secret is answered with the same code.
    if policy.presume_revoked_after_ambiguity && history.ambiguity == Some(Ambiguity::Attempt) {
        return Outcome::Done(Ending::PresumedRevoked);
    }
    history.first_failed_at.get_or_insert(around.now);
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
        fingerprint: Some(around.fingerprint),
        history: *history,
        dead_at: around.now,
    })
}

fn failed(
    failure: &Failure,
    history: &mut History,
    policy: &Policy,
    around: Circumstances,
) -> Judgement {
    history.failed(failure, around.now);
    let at_least = failure.retry_after.unwrap_or_default().min(policy.retry.retry_after_max);
    let next =
        policy.retry.after_failure(history, around.now, around.failing_for, around.others_answered);
    match next {
        Retry::InHand => Judgement::Wait { at_least },
        Retry::Park => {
            Judgement::Finish(Outcome::Parked(policy.retry.park(history, at_least, around.now)))
        }
        Retry::GiveUp => Judgement::Finish(Outcome::DeadLettered(DeadLetter {
            reason: Reason::Exhausted,
            detail: format!(
                "no answer of the endpoint in {} calls while others were answered; the last one ended as {}",
                history.attempts, failure.label
            ),
            code: None,
            http_status: failure.http_status,
            fingerprint: Some(around.fingerprint),
            history: *history,
            dead_at: around.now,
        })),
    }
}

#[cfg(test)]
mod tests;
