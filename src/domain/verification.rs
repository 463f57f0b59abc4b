//! Whether a token is dead: what the answers of an introspection endpoint (RFC 7662) prove, beside those of the revoke
//! endpoint. A pure decision: the pipeline acts on it.
//!
//! "Inactive" alone proves little. A server may say it of every refresh token, or of the tokens of other clients. So it
//! counts only if the same asker saw the same token active before, or if the operator vouches for the server.

use std::time::Duration;

use super::{
    history::Ambiguity,
    verdict::{ResultLabel, Survival, Verdict},
};

/// When the state of a token is checked. Each value includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerifyWhen {
    /// Never.
    Never,
    /// After a rejection that an earlier attempt of ours may explain.
    Ambiguous,
    /// After each answer by which the job would end well.
    After,
    /// Before the call as well: only a token that was active before is proved dead.
    BeforeAndAfter,
}

/// The operator's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyPolicy {
    /// When tokens are checked.
    pub when: VerifyWhen,
    /// Whether "inactive" proves that a token is dead, also without a look at it before.
    pub trusts_inactive: bool,
    /// How long after the answer the check is made.
    pub delay: Duration,
    /// How often a token is revoked and checked before it counts as still active.
    pub attempts: u32,
}

impl Default for VerifyPolicy {
    /// No check.
    fn default() -> Self {
        let when = VerifyWhen::Never;
        Self { when, trusts_inactive: false, delay: Duration::ZERO, attempts: 2 }
    }
}

/// What introspection says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It can be used.
    Active,
    /// It cannot be used, or the server does not know it, or does not tell us.
    Inactive,
}

/// What one delivery has seen of its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sightings {
    /// Whether somebody looked, or tried to, before the call.
    pub looked_before: bool,
    /// Whether the token was seen active.
    pub active: bool,
    /// How many answers of the revoke endpoint it survived.
    pub survived: u32,
}

/// What a check means for the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The token is dead.
    Dead,
    /// "Inactive" proves nothing here: the verdict of the revoke endpoint stays.
    Untrusted(Verdict),
    /// The token is still active: it is revoked once more.
    Again,
    /// The token is still active after every attempt.
    StillActive(Verdict),
}

/// The label `result` of the metric of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckResult {
    /// The token is inactive, and that proves that it is dead.
    Inactive,
    /// The token is active.
    Active,
    /// The token is said to be inactive, which proves nothing here.
    Untrusted,
    /// The endpoint of the check gave no answer of its own.
    Failed,
}

impl VerifyPolicy {
    /// Whether the token is looked at before it is called.
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

    /// Decides what the state of a token means after this verdict, and records it.
    #[must_use]
    pub fn checked(
        &self,
        state: TokenState,
        verdict: Verdict,
        sightings: &mut Sightings,
    ) -> Checked {
        match state {
            TokenState::Inactive if sightings.active || self.trusts_inactive => Checked::Dead,
            TokenState::Inactive => Checked::Untrusted(verdict),
            TokenState::Active => {
                sightings.active = true;
                sightings.survived += 1;
                if sightings.survived < self.attempts {
                    Checked::Again
                } else {
                    Checked::StillActive(verdict)
                }
            }
        }
    }
}
