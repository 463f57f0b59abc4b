//! Waits for conditions that can only be polled, such as a queue's depth or a metric.

use std::time::{Duration, Instant};

/// The limit after which a wait fails and reports the last state. It has no other effect, so it is long enough for a
/// busy machine.
pub const HANG_GUARD: Duration = Duration::from_secs(120);

/// The time between two polls.
pub const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Polls until `poll` succeeds, and returns its result. The last error of `poll` is in the report of a
/// hang.
pub async fn eventually<T>(what: &str, mut poll: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + HANG_GUARD;
    loop {
        match poll().await {
            Ok(seen) => return seen,
            Err(saw) => assert!(Instant::now() < deadline, "hung waiting for {what}: saw {saw}"),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
