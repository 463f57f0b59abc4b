//! An outage of the mock: a gateway answers 503, and no token is revoked.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::script::CannedAnswer;

/// The start and the duration of the outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MockOutage {
    /// The number of calls before it. So the outage is in the middle of the work at any speed.
    pub after: u64,
    /// Its length, from the first call in it.
    pub lasts: Duration,
}

#[derive(Debug, Default)]
pub(super) struct OutageTimer(OnceLock<Instant>);

impl OutageTimer {
    /// Returns whether this call, counted from 1, falls into the outage.
    pub(super) fn covers(&self, outage: Option<MockOutage>, call: u64) -> bool {
        outage.is_some_and(|outage| {
            call > outage.after && self.0.get_or_init(Instant::now).elapsed() < outage.lasts
        })
    }
}

pub(super) fn page() -> CannedAnswer {
    CannedAnswer {
        status: StatusCode::SERVICE_UNAVAILABLE,
        content_type: "text/html",
        body: Bytes::from_static(b"<html><body><h1>503 Service Unavailable</h1></body></html>\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_begins_with_a_call_and_ends_with_its_time() {
        const MOMENT: Duration = Duration::from_millis(1);
        let lasts = Duration::from_secs(5);
        let (timer, outage) = (OutageTimer::default(), Some(MockOutage { after: 2, lasts }));
        let met = |call| timer.covers(outage, call);
        assert!(!met(1) && !met(2));
        tokio::time::advance(lasts).await;
        assert!(met(3), "it begins with its call");
        tokio::time::advance(lasts.saturating_sub(MOMENT)).await;
        assert!(met(4));
        tokio::time::advance(MOMENT).await;
        assert!(!met(5) && !met(6), "it comes once");
        assert!(!OutageTimer::default().covers(None, 7));
    }
}
