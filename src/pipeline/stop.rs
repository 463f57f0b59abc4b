//! The two steps in which the pipeline stops.

use tokio_util::sync::CancellationToken;

/// The two steps of stopping: drain, then cut off. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    drain: CancellationToken,
    cut: CancellationToken,
}

impl Stop {
    /// Requeues the jobs that only wait. Calls and settlements continue.
    pub fn start_draining(&self) {
        self.drain.cancel();
    }

    /// Requeues every job.
    pub fn cut_off(&self) {
        self.drain.cancel();
        self.cut.cancel();
    }

    /// Whether jobs that only wait are requeued.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Waits until draining starts.
    pub async fn drain(&self) {
        self.drain.cancelled().await;
    }

    /// Waits until every job is requeued.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }
}
