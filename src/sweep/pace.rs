//! How far a sweep is, and how long the rest takes.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::counters::{LineCounts, SweepCounters};
use crate::{input::ReadProgress, ports::SweepShare};

/// The time before which the speed says nothing.
const WARM_UP: Duration = Duration::from_secs(5);

/// The pace of a sweep since it began.
#[derive(Debug)]
pub struct SweepPace {
    file: ReadProgress,
    counters: Arc<SweepCounters>,
    /// The lines that ended in earlier runs.
    before: u64,
    began: Instant,
}

impl SweepPace {
    /// The sweep begins now.
    pub fn new(file: ReadProgress, counters: Arc<SweepCounters>) -> Self {
        let before = counters.counts().lines.all();
        Self { file, counters, before, began: Instant::now() }
    }

    pub fn now(&self) -> SweepShare {
        let counts = self.counters.counts();
        let ended = counts.lines.all();
        let total = self.file.total.filter(|total| *total > 0);
        let position = ended_position(self.file.read(), &counts.lines, counts.read);
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        let share = total.map(|total| (position as f64 / total as f64).min(1.0));
        let done = ended.saturating_sub(self.before);
        let left = share.and_then(|share| left(share, ended, done, self.began.elapsed()));
        SweepShare { ended, share, left }
    }
}

/// Returns the byte position up to which the file's lines have ended. Reading is far ahead of it.
pub fn ended_position(read: u64, ended: &LineCounts, seen: u64) -> u64 {
    let ended = u128::from(ended.all().min(seen));
    let position = u128::from(read) * ended / u128::from(seen.max(1));
    u64::try_from(position).unwrap_or(read)
}

/// The time for the rest, from the speed of this run. A resumed run passes the lines of earlier runs at once.
fn left(share: f64, ended: u64, done: u64, elapsed: Duration) -> Option<Duration> {
    if elapsed < WARM_UP || done == 0 || share <= 0.0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "an estimate for people")]
    let seconds = {
        let rest = ended as f64 * (1.0 - share) / share;
        rest / (done as f64 / elapsed.as_secs_f64())
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{
        count_lines,
        journal::{LineOutcome, LineOutcomes},
    };

    #[test]
    fn a_file_that_was_read_is_not_done() {
        let mut outcomes = LineOutcomes::default();
        for line in 1..=25 {
            outcomes.replace(line, Some(LineOutcome::Repeated));
        }
        let ended = count_lines(&outcomes);
        assert_eq!(ended_position(1000, &ended, 100), 250);
        assert_eq!(ended_position(1000, &ended, 25), 1000);
        assert_eq!(ended_position(10, &ended, 1), 10, "most of them ended in a run before");
        assert_eq!(ended_position(0, &ended, 0), 0);
    }

    #[test]
    fn the_rest_takes_as_long_as_the_speed_of_this_run_says() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(0.25, 1_000, 1_000, minute), Some(minute * 3));
        // An earlier run did 900 of the 1,000 lines.
        assert_eq!(left(0.25, 1_000, 100, minute), Some(minute * 30));
        assert_eq!(left(1.0, 1_000, 100, minute), Some(Duration::ZERO));
        for (share, ended, done, elapsed) in
            [(0.0, 0, 0, minute), (0.5, 900, 0, minute), (0.5, 900, 900, WARM_UP / 2)]
        {
            assert_eq!(left(share, ended, done, elapsed), None, "{share} {ended} {done}");
        }
    }
}
