//! A stand-in that is away for a while: a gateway says so, and no token is revoked.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::script::Canned;

/// When it is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// So many calls come before: an outage in the middle of the work, however fast that is.
    pub after: u64,
    /// For so long, from the first call that meets it.
    pub lasts: Duration,
}

/// An outage as it happens.
#[derive(Debug, Default)]
pub(super) struct Course(OnceLock<Instant>);

impl Course {
    /// Whether the call of that number, counted from 1, meets the outage.
    pub(super) fn meets(&self, outage: Option<Outage>, call: u64) -> bool {
        outage.is_some_and(|outage| {
            call > outage.after && self.0.get_or_init(Instant::now).elapsed() < outage.lasts
        })
    }
}

/// What the gateway answers meanwhile.
pub(super) fn page() -> Canned {
    Canned {
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
        let (course, outage) = (Course::default(), Some(Outage { after: 2, lasts }));
        let met = |call| course.meets(outage, call);
        assert!(!met(1) && !met(2));
        tokio::time::advance(lasts).await;
        assert!(met(3), "it waits for its call");
        tokio::time::advance(lasts.saturating_sub(MOMENT)).await;
        assert!(met(4));
        tokio::time::advance(MOMENT).await;
        assert!(!met(5) && !met(6), "it comes once");
        assert!(!Course::default().meets(None, 7));
    }
}
