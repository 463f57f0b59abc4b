//! What proves the end of a job.

use super::{
    history::History,
    named::named,
    outcome::{Completion, Outcome},
};

named! {
    /// What proves that the token of an ended job is dead.
    pub enum Proof {
        /// The endpoint's answer is about this token.
        Said = "said",
        /// Introspection says that the token is dead.
        Verified = "verified",
        /// This worker revoked the same token a short while ago.
        Earlier = "earlier",
        /// The operator chose to count a rejection after an ambiguous attempt as success.
        Presumed = "presumed",
        /// The token has expired, according to its producer.
        Producer = "producer",
        /// Nothing proves it.
        Nothing = "none",
    }
}

impl Proof {
    /// Whether the token is dead by the endpoint's own word, now or a short while ago, or by its introspection.
    #[must_use]
    pub const fn is_of_the_endpoint(self) -> bool {
        match self {
            Self::Said | Self::Verified | Self::Earlier => true,
            Self::Presumed | Self::Producer | Self::Nothing => false,
        }
    }

    /// What proves the end of a job with this outcome and history.
    #[must_use]
    pub const fn of(outcome: &Outcome, history: &History) -> Self {
        match outcome {
            Outcome::Done(completion) => Self::of_completion(*completion, history.verified),
            Outcome::DeadLettered(_) | Outcome::Parked(_) | Outcome::Requeued => Self::Nothing,
        }
    }

    /// The same for a job that is done. `verified`: introspection says that its token is dead.
    #[must_use]
    pub const fn of_completion(completion: Completion, verified: bool) -> Self {
        match completion {
            Completion::Revoked if verified => Self::Verified,
            Completion::Revoked | Completion::Gone => Self::Said,
            Completion::Acknowledged | Completion::Accepted => Self::Nothing,
            Completion::PresumedRevoked => Self::Presumed,
            Completion::Duplicate => Self::Earlier,
            Completion::Expired => Self::Producer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_proved_by_what_is_known_of_its_token() {
        let proof = |completion, verified| Proof::of_completion(completion, verified).as_str();
        assert_eq!(proof(Completion::Revoked, false), "said");
        assert_eq!(proof(Completion::Revoked, true), "verified");
        assert_eq!(proof(Completion::Gone, false), "said");
        assert_eq!(proof(Completion::Acknowledged, false), "none");
        assert_eq!(proof(Completion::Accepted, false), "none");
        assert_eq!(proof(Completion::PresumedRevoked, false), "presumed");
        assert_eq!(proof(Completion::Duplicate, false), "earlier");
        assert_eq!(proof(Completion::Expired, false), "producer");
    }
}
