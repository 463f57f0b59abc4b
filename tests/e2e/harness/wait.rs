//! Waiting for conditions that can only be polled, such as a queue's depth or a metric.

use std::time::{Duration, Instant};

/// No wait is meant to last this long: past it a test says what it saw and fails. It decides nothing
/// else, so it is generous enough for a machine that is busy with other things.
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
