//! What is not proved, and what to do about it.

use serde::Serialize;

use super::{counts::EndCounts, document::Row};
use crate::domain::{Completion, Proof, Reason};

/// Jobs whose tokens are not proved dead, for one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remaining {
    /// The name of the outcome or of the reason.
    pub what: &'static str,
    pub count: u64,
    /// What it means, and what to do, for a person.
    pub meaning: &'static str,
}

impl Remaining {
    pub fn row(&self) -> Row {
        Row::new(self.what.replace('_', " "), self.count).hint(self.meaning)
    }
}

/// Returns the jobs whose tokens are not proved dead, by cause, without zeros.
pub fn remaining(counts: &EndCounts) -> Vec<Remaining> {
    let failed = Reason::ALL.into_iter().map(|reason| Remaining {
        what: reason.as_str(),
        count: counts.failed_for(reason),
        meaning: of_reason(reason),
    });
    let done = Completion::ALL.into_iter().filter_map(|completion| {
        let meaning = of_completion(completion)?;
        Some(Remaining { what: completion.as_str(), count: counts.ended(completion), meaning })
    });
    failed.chain(done).filter(|remaining| remaining.count > 0).collect()
}

/// Returns the count of each proof, with its meaning.
pub fn proofs(counts: &EndCounts) -> Vec<Row> {
    let row =
        |proof: Proof| Row::new(proof.as_str(), counts.proved_by(proof)).hint(of_proof(proof));
    Proof::ALL.map(row).into()
}

const fn of_proof(proof: Proof) -> &'static str {
    match proof {
        Proof::Said => "The endpoint's own answer says that this token is revoked, or is gone.",
        Proof::Verified => "After the call, introspection reported that the token is dead.",
        Proof::Earlier => "The same token was revoked before, by the endpoint's own answer.",
        Proof::Presumed => {
            "Rejected after a lost answer, and counted as revoked by the operator's choice."
        }
        Proof::Producer => "The token has expired, according to its producer. It was not called.",
        Proof::Nothing => "Nothing proves that these tokens are dead.",
    }
}

const fn of_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Rejected => {
            "The endpoint does not know the token, or the client's secret is wrong. The token may be alive."
        }
        Reason::RejectedAfterAmbiguity => {
            "Rejected after a call whose answer was lost. Most likely that call revoked the token."
        }
        Reason::InvalidJob => {
            "The line is no job, so nothing was called. A token in it may be alive."
        }
        Reason::UnknownClient => {
            "No secret is configured for its client, so nothing was called. Configure it, then retry."
        }
        Reason::Exhausted => "The endpoint did not answer within retry.give_up_after. Retry.",
        Reason::InternalError => "A fault of Revoker. Retry, and report the fault.",
        Reason::Gone => {
            "The token does not exist any more, and such jobs are kept as dead letters."
        }
        Reason::StillActive => "Introspection still reports the token as active. It is alive.",
    }
}

/// `None` for a completion that is proved.
const fn of_completion(completion: Completion) -> Option<&'static str> {
    match completion {
        Completion::Revoked | Completion::Gone | Completion::Duplicate => None,
        Completion::Acknowledged => {
            Some("The endpoint accepted the request, and says nothing about this token.")
        }
        Completion::Accepted => Some("The endpoint said that it will revoke the token later."),
        Completion::PresumedRevoked => Some(of_proof(Proof::Presumed)),
        Completion::Expired => Some(of_proof(Proof::Producer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::End;

    #[test]
    fn what_remains_and_what_is_proved_is_every_job() {
        let mut counts = EndCounts::default();
        counts.extend(Completion::ALL.map(End::Done));
        counts.extend(Reason::ALL.map(End::Failed));
        counts.extend([End::Verified, End::Repeated]);
        let remaining: u64 = remaining(&counts).iter().map(|remaining| remaining.count).sum();
        assert_eq!(remaining + counts.proved(), counts.jobs());
        assert!(super::remaining(&EndCounts::default()).is_empty());
    }
}
