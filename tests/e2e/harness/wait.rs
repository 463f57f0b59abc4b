//! Waiting for what can only be looked at, such as a queue's depth or a metric.

use std::time::{Duration, Instant};

/// No wait is meant to last this long: past it a test says what it saw and fails. It decides nothing
/// else, so it is generous enough for a machine that is busy with other things.
pub const HANG_GUARD: Duration = Duration::from_secs(120);

/// The pause between two looks.
pub const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// Looks until there is something to see, and returns that. `look` says what it saw instead as the
/// error, for the report of a hang.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + HANG_GUARD;
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(saw) => assert!(Instant::now() < deadline, "hung waiting for {what}: saw {saw}"),
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
