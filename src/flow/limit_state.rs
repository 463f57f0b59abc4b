//! The limit of concurrent calls for the status page and the log.

use std::{fmt, time::Duration};

use tokio::time::Instant;
use tracing::info;

use super::limit::LimitReason;

/// At most one log line in this time.
const EVERY: Duration = Duration::from_secs(60);

/// The limit and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitState {
    /// The limit of concurrent calls.
    pub limit: usize,
    /// The ceiling of the limit.
    pub ceiling: usize,
    /// Why the limit has this value.
    pub reason: LimitReason,
}

impl fmt::Display for LimitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, ceiling, reason } = self;
        let why = match reason {
            LimitReason::Fixed => return write!(f, "fixed at {limit}"),
            LimitReason::Ceiling => return write!(f, "at the ceiling of {ceiling}"),
            LimitReason::Climbing => return write!(f, "climbing, at {limit} of {ceiling}"),
            LimitReason::Overload => "the endpoint is overloaded (429, 503 or time-outs)",
            LimitReason::Latency => "the endpoint becomes slower with more calls",
        };
        write!(f, "held at {limit} of {ceiling}: {why}")
    }
}

impl LimitReason {
    const fn is_held(self) -> bool {
        match self {
            Self::Overload | Self::Latency => true,
            Self::Ceiling | Self::Fixed | Self::Climbing => false,
        }
    }
}

/// Decides when the limit is logged: at once when it starts to be held down, and once a minute while it is below its
/// ceiling. Time is an argument. It runs at the end of each call, so it needs no timer.
#[derive(Debug, Default)]
pub(super) struct LimitLog {
    /// When the last line was written, or since when the limit is below its ceiling.
    since: Option<Instant>,
    /// When the last line about a held limit was written.
    told_held: Option<Instant>,
    held: bool,
}

impl LimitLog {
    /// Writes a line if one is due.
    pub(super) fn call_ended(&mut self, state: LimitState, now: Instant) {
        if self.is_due(state.reason, now) {
            info!(limit = state.limit, ceiling = state.ceiling, "calls at a time: {state}");
        }
    }

    fn is_due(&mut self, reason: LimitReason, now: Instant) -> bool {
        let was_held = std::mem::replace(&mut self.held, reason.is_held());
        if matches!(reason, LimitReason::Ceiling | LimitReason::Fixed) {
            return false;
        }
        let is_over = |since: Instant| now.saturating_duration_since(since) >= EVERY;
        // A limit that alternates between held and not held is also logged once a minute.
        let newly_held = self.held && !was_held && self.told_held.is_none_or(is_over);
        let due = newly_held || is_over(*self.since.get_or_insert(now));
        if due {
            self.since = Some(now);
            self.told_held = if self.held { Some(now) } else { self.told_held };
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_sentence() {
        let texts = [
            (
                LimitReason::Overload,
                "held at 12 of 256: the endpoint is overloaded (429, 503 or time-outs)",
            ),
            (
                LimitReason::Latency,
                "held at 12 of 256: the endpoint becomes slower with more calls",
            ),
            (LimitReason::Climbing, "climbing, at 12 of 256"),
            (LimitReason::Ceiling, "at the ceiling of 256"),
            (LimitReason::Fixed, "fixed at 12"),
        ];
        for (reason, text) in texts {
            assert_eq!(LimitState { limit: 12, ceiling: 256, reason }.to_string(), text);
        }
    }

    /// The seconds at which a line is written, where a call ends each second.
    fn lines(reason: impl Fn(u64) -> LimitReason, seconds: u64) -> Vec<u64> {
        let (mut log, start) = (LimitLog::default(), Instant::now());
        let due = |log: &mut LimitLog, at| log.is_due(reason(at), start + Duration::from_secs(at));
        (0..seconds).filter(|at| due(&mut log, *at)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_below_its_ceiling_is_one_line_a_minute_and_the_first_at_once_where_it_is_held()
    {
        let climbing_then = |then| move |at| if at < 10 { LimitReason::Climbing } else { then };
        assert_eq!(lines(climbing_then(LimitReason::Overload), 200), [10, 70, 130, 190]);
        assert_eq!(lines(climbing_then(LimitReason::Latency), 100), [10, 70]);
        assert_eq!(lines(|_| LimitReason::Climbing, 130), [60, 120]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_at_its_ceiling_or_fixed_is_no_line() {
        for reason in [LimitReason::Ceiling, LimitReason::Fixed] {
            assert_eq!(lines(|_| reason, 1_000), [0; 0]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_alternates_is_logged_once_a_minute() {
        let restless =
            |other| move |at: u64| if at.is_multiple_of(2) { LimitReason::Overload } else { other };
        assert_eq!(lines(restless(LimitReason::Ceiling), 200), [0, 60, 120, 180]);
        assert_eq!(lines(restless(LimitReason::Climbing), 200), [0, 60, 120, 180]);
    }
}
