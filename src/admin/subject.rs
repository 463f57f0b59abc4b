//! What the status page says about the process itself.

use std::fmt;

use tokio::time::Instant;

use crate::ports::{SweepShare, host_name};

/// The share of a sweep at the moment.
type SweepNow = dyn Fn() -> SweepShare + Send + Sync;

/// The process behind the page, and what it calls. It holds no secret.
pub struct Subject {
    pub host: String,
    pub process: u32,
    /// The endpoint's origin: scheme, host and port.
    pub endpoint: String,
    pub profile: String,
    pub started: Instant,
    /// The progress of a sweep; `None` for a worker.
    pub sweep: Option<Box<SweepNow>>,
}

impl Subject {
    /// This process, started now, calling `endpoint` by the rules of `profile`.
    #[must_use]
    pub fn new(endpoint: String, profile: String) -> Self {
        let (host, process) = (host_name(), std::process::id());
        Self { host, process, endpoint, profile, started: Instant::now(), sweep: None }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("host", &self.host).finish_non_exhaustive()
    }
}
