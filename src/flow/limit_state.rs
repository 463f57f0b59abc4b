//! The limit of parallel calls as people are told of it: on the page, and by a log line now and then.

use std::{fmt, time::Duration};

use tokio::time::Instant;
use tracing::info;

use super::limit::LimitReason;

/// One line in so long.
const EVERY: Duration = Duration::from_secs(60);

/// The limit, and why it is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitState {
    /// How many calls may run at a time.
    pub limit: usize,
    /// How many at most.
    pub ceiling: usize,
    /// Why it is what it is.
    pub reason: LimitReason,
}

impl fmt::Display for LimitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, ceiling, reason } = self;
        let why = match reason {
            LimitReason::Fixed => return write!(f, "fixed at {limit}"),
            LimitReason::Ceiling => return write!(f, "at the ceiling of {ceiling}"),
            LimitReason::Climbing => return write!(f, "climbing, at {limit} of {ceiling}"),
            LimitReason::PushBacks => "the endpoint pushes back (429, 503 or time-outs)",
            LimitReason::Latency => "the endpoint becomes slower with more calls",
        };
        write!(f, "held at {limit} of {ceiling}: {why}")
    }
}

impl LimitReason {
    const fn is_held(self) -> bool {
        match self {
            Self::PushBacks | Self::Latency => true,
            Self::Ceiling | Self::Fixed | Self::Climbing => false,
        }
    }
}

/// When the log is told: at once where the limit becomes held, and otherwise once a minute while calls end and the
/// limit is below its ceiling. Time comes in as an argument. It is asked as each call ends, so no timer runs for it.
#[derive(Debug, Default)]
pub(super) struct LimitLog {
    /// The last line, or since when the limit has been below its ceiling.
    since: Option<Instant>,
    /// The last line of a limit that was held.
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
        // A limit that goes up and down between held and not is told of once a minute as well.
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
                LimitReason::PushBacks,
                "held at 12 of 256: the endpoint pushes back (429, 503 or time-outs)",
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
        assert_eq!(lines(climbing_then(LimitReason::PushBacks), 200), [10, 70, 130, 190]);
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
    async fn a_limit_that_goes_up_and_down_all_the_time_is_told_of_once_a_minute() {
        let restless = |other| {
            move |at: u64| if at.is_multiple_of(2) { LimitReason::PushBacks } else { other }
        };
        assert_eq!(lines(restless(LimitReason::Ceiling), 200), [0, 60, 120, 180]);
        assert_eq!(lines(restless(LimitReason::Climbing), 200), [0, 60, 120, 180]);
    }
}
