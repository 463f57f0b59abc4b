//! Samples of the metrics of the last minutes, for the charts of the status page.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    domain::{Lane, ResultLabel},
    metrics::{Depth, Processed, Snapshot},
};

/// The time between two samples.
pub const EVERY: Duration = Duration::from_secs(5);

/// The number of kept samples: ten minutes.
const KEPT: usize = 120;

/// The time that counts as now: long enough that one job a second does not show as zero.
const NOW: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub struct StatusHistory(VecDeque<(Instant, Snapshot)>);

impl StatusHistory {
    pub fn record(&mut self, at: Instant, snapshot: Snapshot) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((at, snapshot));
    }

    pub fn span(&self) -> Duration {
        match (self.0.front(), self.0.back()) {
            (Some((first, _)), Some((last, _))) => *last - *first,
            _ => Duration::ZERO,
        }
    }

    /// Whether there are enough samples for a line. A worker that has just started has one.
    pub fn has_lines(&self) -> bool {
        self.0.len() > 1
    }

    /// The rate of `counter` per second between each two samples.
    pub fn rates(&self, counter: impl Fn(&Snapshot) -> u64) -> Vec<f64> {
        let samples = self.0.iter().zip(self.0.iter().skip(1));
        samples.map(|(before, after)| growth(before, after, &counter)).collect()
    }

    pub fn levels(&self, gauge: impl Fn(&Snapshot) -> u64) -> Vec<f64> {
        self.0.iter().map(|(_, snapshot)| number(gauge(snapshot))).collect()
    }

    /// The current rate of `counter` per second.
    pub fn rate_now(&self, counter: impl Fn(&Snapshot) -> u64) -> f64 {
        let Some(last) = self.0.back() else { return 0.0 };
        let before = self.0.iter().find(|(at, _)| last.0 - *at <= NOW);
        before.map_or(0.0, |before| growth(before, last, &counter))
    }

    pub fn grown(&self, counter: impl Fn(&Snapshot) -> u64) -> u64 {
        match (self.0.front(), self.0.back()) {
            (Some((_, first)), Some((_, last))) => counter(last).saturating_sub(counter(first)),
            _ => 0,
        }
    }

    /// The time since `counter` last grew; `None` if it did not grow in any sample.
    pub fn last_growth(
        &self,
        now: Instant,
        counter: impl Fn(&Snapshot) -> u64,
    ) -> Option<Duration> {
        let samples = self.0.iter().zip(self.0.iter().skip(1));
        let grew = samples.filter(|((_, before), (_, after))| counter(after) > counter(before));
        grew.last().map(|(_, (at, _))| now.saturating_duration_since(*at))
    }
}

/// Per second.
fn growth(
    (from, before): &(Instant, Snapshot),
    (to, after): &(Instant, Snapshot),
    counter: impl Fn(&Snapshot) -> u64,
) -> f64 {
    let seconds = to.saturating_duration_since(*from).as_secs_f64();
    if seconds > 0.0 {
        number(counter(after).saturating_sub(counter(before))) / seconds
    } else {
        0.0
    }
}

#[allow(clippy::cast_precision_loss, reason = "for a picture")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Jobs of both lanes that ended with a success of the endpoint.
pub fn done(snapshot: &Snapshot) -> u64 {
    Lane::ALL.into_iter().map(|lane| *snapshot.done.get(lane)).sum()
}

pub fn calls(snapshot: &Snapshot, result: ResultLabel) -> u64 {
    of(&snapshot.calls, result)
}

/// Calls that the endpoint answered.
pub fn answers(snapshot: &Snapshot) -> u64 {
    let answered = snapshot.calls.iter().filter(|(result, _)| result.is_answer());
    answered.map(|(_, count)| count).sum()
}

/// Calls that proved nothing.
pub fn failed_calls(snapshot: &Snapshot) -> u64 {
    let failed = snapshot.calls.iter().filter(|(result, _)| !result.is_answer());
    failed.map(|(_, count)| count).sum()
}

pub fn dead_lettered(snapshot: &Snapshot) -> u64 {
    of(&snapshot.processed, Processed::DeadLettered)
}

pub fn in_flight(snapshot: &Snapshot) -> u64 {
    snapshot.in_flight.iter().map(|(_, count)| count).sum()
}

/// Ready jobs in the lanes' queues.
pub fn backlog(snapshot: &Snapshot) -> u64 {
    of(&snapshot.queues, Depth::Interactive) + of(&snapshot.queues, Depth::Bulk)
}

fn of<L: PartialEq + Copy>(counts: &[(L, u64)], label: L) -> u64 {
    counts.iter().find(|(of, _)| *of == label).map_or(0, |(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metrics::{Build, Metrics};

    #[tokio::test(start_paused = true)]
    async fn rates_levels_and_growth_follow_the_counters() {
        let metrics = Arc::new(Metrics::new(Build { version: "1", revision: "r" }).unwrap());
        let mut history = StatusHistory::default();
        assert!(history.rate_now(done).abs() < f64::EPSILON, "nothing was sampled yet");
        assert!(!history.has_lines());
        for jobs in [0, 10, 30, 0] {
            (0..jobs).for_each(|_| metrics.processed(Lane::Bulk, Processed::Revoked));
            metrics.queue_messages(Depth::Bulk, jobs);
            history.record(Instant::now(), metrics.snapshot());
            tokio::time::advance(EVERY).await;
        }
        assert_eq!(history.rates(done), [2.0, 6.0, 0.0]);
        assert_eq!(history.levels(backlog), [0.0, 10.0, 30.0, 0.0]);
        assert!((history.rate_now(done) - 40.0 / 15.0).abs() < 1e-9);
        assert_eq!(history.grown(done), 40);
        assert_eq!(history.span(), EVERY * 3);
        assert!(history.has_lines());
        assert_eq!(history.last_growth(Instant::now(), done), Some(EVERY * 2));
        assert_eq!(history.last_growth(Instant::now(), dead_lettered), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_the_last_minutes() {
        let metrics = Metrics::new(Build { version: "1", revision: "r" }).unwrap();
        let mut history = StatusHistory::default();
        for _ in 0..KEPT + 10 {
            history.record(Instant::now(), metrics.snapshot());
            tokio::time::advance(EVERY).await;
        }
        assert_eq!(history.levels(backlog).len(), KEPT);
    }
}
