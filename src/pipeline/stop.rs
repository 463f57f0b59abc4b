//! When to leave: first whatever only waits, at last whatever is left.

use tokio_util::sync::CancellationToken;

/// The two steps of leaving. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    drain: CancellationToken,
    cut: CancellationToken,
}

impl Stop {
    /// Hands back what only waits; calls and settlements go on.
    pub fn start_draining(&self) {
        self.drain.cancel();
    }

    /// Hands back everything.
    pub fn cut_off(&self) {
        self.drain.cancel();
        self.cut.cancel();
    }

    /// Whether what only waits is handed back.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Waits until draining starts.
    pub async fn drain(&self) {
        self.drain.cancelled().await;
    }

    /// Waits until everything is handed back.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }
}
