//! What a verdict means for the flow, which knows neither verdicts nor HTTP.

use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use tracing::warn;

use super::Pipeline;
use crate::{
    domain::{Blame, Failure, ResultLabel, Verdict},
    flow::CallOutcome,
    ports::{Clock, Endpoint},
};

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// What the flow learns from a verdict.
    pub(super) fn call_outcome(&self, verdict: &Verdict) -> CallOutcome {
        match verdict {
            Verdict::Revoked => CallOutcome::Revoked,
            Verdict::Rejected(_) => CallOutcome::Rejected,
            Verdict::Transient(failure) => CallOutcome::Failed {
                overload: is_overload(failure),
                busy: failure.label == ResultLabel::Http429,
                own_trouble: failure.blame == Blame::Job,
                retry_after: failure.retry_after.map(|wish| {
                    let most = self.settings.policy.retry.retry_after_max;
                    if wish > most {
                        note_clamped();
                    }
                    wish.min(most)
                }),
            },
        }
    }
}

/// Too many calls at a time, or too fast: the server says so, or it no longer keeps up.
fn is_overload(failure: &Failure) -> bool {
    matches!(failure.label, ResultLabel::Http429 | ResultLabel::Timeout)
        || failure.http_status == Some(StatusCode::SERVICE_UNAVAILABLE.as_u16())
}

/// Said once: a server that asks for a day asks for it with every answer.
fn note_clamped() {
    static NOTED: AtomicBool = AtomicBool::new(false);
    if !NOTED.swap(true, Ordering::Relaxed) {
        warn!("the server's Retry-After is longer than retry.retry_after_max, and is cut to it");
    }
}
