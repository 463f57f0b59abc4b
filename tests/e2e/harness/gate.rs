//! A gate: whatever waits at it goes on when the test opens it, never because time has passed.

use tokio_util::sync::CancellationToken;

/// Shut when made, opened once, for everybody.
#[derive(Debug, Clone, Default)]
pub struct Gate(CancellationToken);

impl Gate {
    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.cancel();
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is open.
    pub async fn passed(&self) {
        self.0.cancelled().await;
    }
}
