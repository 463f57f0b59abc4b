//! Decides whether a token is dead, from the answers of an introspection endpoint (RFC 7662) and of the revoke
//! endpoint. The decision is pure: the pipeline carries it out.
//!
//! "Inactive" alone proves little. A server may give this answer for every refresh token, or for tokens of other
//! clients. So it counts only if the same client saw the token active before, or if the operator trusts the server.

use std::time::Duration;

use super::{history::Ambiguity, named::named, verdict::Verdict};

/// When the state of a token is checked. Each value includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerifyWhen {
    /// Never.
    Never,
    /// After a rejection that an earlier call may explain.
    Ambiguous,
    /// After each answer that would complete the job.
    After,
    /// Before the call as well, so that "inactive" proves something afterwards.
    BeforeAndAfter,
}

/// The operator's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyPolicy {
    /// When tokens are checked.
    pub when: VerifyWhen,
    /// Whether "inactive" proves that a token is dead, although it was not seen active before.
    pub trusts_inactive: bool,
    /// How long after the answer the check is made.
    pub delay: Duration,
    /// How often a token is revoked and checked before its job is dead-lettered as still active.
    pub attempts: u32,
}

impl Default for VerifyPolicy {
    /// No token is checked.
    fn default() -> Self {
        let when = VerifyWhen::Never;
        Self { when, trusts_inactive: false, delay: Duration::ZERO, attempts: 2 }
    }
}

/// The state of a token according to introspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It can be used.
    Active,
    /// It cannot be used, or the server does not know it, or does not disclose its state.
    Inactive,
}

/// The observations of a token during one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sightings {
    /// Whether the token was checked before the call, or such a check failed.
    pub looked_before: bool,
    /// Whether the token was seen active.
    pub active: bool,
    /// How many answers of the revoke endpoint the token survived.
    pub survived: u32,
}

named! {
    /// The label `result` of the metric of checks.
    pub enum CheckResult {
        /// The token is dead.
        Inactive = "inactive",
        /// The token is alive.
        Active = "active",
        /// The endpoint said "inactive", which proves nothing here.
        Untrusted = "untrusted",
        /// The endpoint gave no answer of its own.
        Failed = "failed",
    }
}

impl VerifyPolicy {
    /// Whether the token is checked before the call.
    #[must_use]
    pub fn looks_before(&self, sightings: &Sightings) -> bool {
        self.when == VerifyWhen::BeforeAndAfter && !sightings.looked_before
    }

    /// Whether the token is checked after this verdict. `ambiguity` is that of the job before the verdict.
    #[must_use]
    pub fn checks_after(&self, verdict: &Verdict, ambiguity: Option<Ambiguity>) -> bool {
        match verdict {
            Verdict::Revoked | Verdict::Acknowledged | Verdict::Accepted | Verdict::Gone(_) => {
                self.when >= VerifyWhen::After
            }
            Verdict::Rejected(_) => self.when >= VerifyWhen::Ambiguous && ambiguity.is_some(),
            Verdict::Verified | Verdict::StillActive(_) | Verdict::Transient(_) => false,
        }
    }

    /// The result of a check after this verdict, and the verdict that follows; `None` if the token has to be revoked
    /// once more. If the token is active and survived no earlier call, a rejection is confirmed.
    #[must_use]
    pub fn judge(
        &self,
        state: TokenState,
        verdict: Verdict,
        sightings: &mut Sightings,
    ) -> (CheckResult, Option<Verdict>) {
        match state {
            TokenState::Inactive if sightings.active || self.trusts_inactive => {
                (CheckResult::Inactive, Some(Verdict::Verified))
            }
            TokenState::Inactive => (CheckResult::Untrusted, Some(verdict)),
            TokenState::Active => {
                sightings.active = true;
                if sightings.survived == 0 && matches!(verdict, Verdict::Rejected(_)) {
                    return (CheckResult::Active, Some(verdict));
                }
                sightings.survived += 1;
                let last = sightings.survived >= self.attempts;
                let verdict = last.then(|| Verdict::StillActive(verdict.label()));
                (CheckResult::Active, verdict)
            }
        }
    }
}

#[cfg(test)]
mod tests;
