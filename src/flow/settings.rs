//! The settings of the flow; `config` reads and checks them.

use std::time::Duration;

/// The settings of the limits of calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The floor of the limit of concurrent calls, at least 1.
    pub concurrency_min: usize,
    /// The ceiling of that limit.
    pub concurrency_max: usize,
    /// Whether the limit adapts between the two; otherwise it stays at the ceiling.
    pub adaptive: bool,
    /// Calls per second, above 0. `None`: as many as the limit allows.
    pub rate: Option<f64>,
    /// Which replicas share the rate.
    pub rate_scope: RateScope,
    /// The bulk lane's minimum share of the starts while both lanes wait, from 0 to 1.
    pub bulk_min_share: f64,
    /// The conditions of pauses.
    pub pause: PauseSettings,
}

impl Settings {
    /// The effective prefetch: at most the calls that the rate allows in a minute. With more, jobs would wait in
    /// flight until the broker takes them back.
    #[must_use]
    pub fn prefetch(&self, configured: u16) -> u16 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; a rate is above 0"
        )]
        self.rate.map_or(configured, |rate| ((rate * 60.0) as u16).clamp(1, configured.max(1)))
    }
}

/// Which replicas share the rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RateScope {
    /// None: each replica has the whole rate.
    #[default]
    Replica,
    /// All replicas that consume the same queues, as counted by the broker.
    Fleet,
}

/// The conditions of pauses, and the intervals of probes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PauseSettings {
    /// A pause begins after this many failed calls in a row, without an answer in between.
    pub after_failures: u32,
    /// The wait before the first probe.
    pub probe_initial: Duration,
    /// The longest wait between probes.
    pub probe_max: Duration,
    /// A pause begins after this many rejections in a row, without a revocation in between. `None`: off.
    pub after_rejections: Option<u32>,
    /// A pause begins after this many rejections of a client, if nothing was revoked for it since its secret was
    /// read. 0: off.
    pub first_rejections: u32,
    /// This many rejections of tokens that an earlier call may have revoked do not count. 0 for a worker: its broker
    /// delivers jobs again that only waited, so that few of these rejections would be expected.
    pub expected_rejections: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefetch_is_at_most_the_starts_of_a_minute() {
        let pause = PauseSettings {
            after_failures: 20,
            probe_initial: Duration::from_secs(1),
            probe_max: Duration::from_secs(30),
            after_rejections: None,
            first_rejections: 0,
            expected_rejections: 0,
        };
        let prefetch = |rate| {
            Settings {
                concurrency_min: 1,
                concurrency_max: 256,
                adaptive: true,
                rate,
                rate_scope: RateScope::Replica,
                bulk_min_share: 0.05,
                pause,
            }
            .prefetch(512)
        };
        assert_eq!(prefetch(None), 512);
        assert_eq!(prefetch(Some(1000.0)), 512);
        assert_eq!(prefetch(Some(2.0)), 120);
        assert_eq!(prefetch(Some(0.001)), 1);
    }
}
