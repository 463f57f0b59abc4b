//! What the flow is configured with; `config` reads and checks it.

use std::time::Duration;

/// How many calls may start, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The floor of the limit of parallel calls, at least 1.
    pub concurrency_min: usize,
    /// The ceiling of the limit of parallel calls.
    pub concurrency_max: usize,
    /// Whether the limit adapts between the two; otherwise it stays at the ceiling.
    pub adaptive: bool,
    /// Calls per second, above 0; `None`: as many as the limit allows.
    pub rate: Option<f64>,
    /// The bulk lane's least share of the starts while both lanes wait, from 0 to 1.
    pub bulk_min_share: f64,
    /// When to pause.
    pub pause: PauseSettings,
}

/// When to pause, and how to probe.
#[derive(Debug, Clone, PartialEq)]
pub struct PauseSettings {
    /// So many failed calls in a row, with no answer between, are weather.
    pub after_failures: u32,
    /// The wait before the first probe.
    pub probe_initial: Duration,
    /// The longest wait between probes.
    pub probe_max: Duration,
    /// So many rejections in a row, with nothing revoked between, pause as well; `None`: off.
    pub after_rejections: Option<u32>,
}
