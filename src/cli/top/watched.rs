//! A watched worker: its latest sample, and the last minutes as lines.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::sample::Sample;
use crate::admin::ReadinessState;

/// The number of kept points: more than a wide terminal can draw.
const KEPT: usize = 240;

/// The time that counts as now: long enough that one job a second does not show as zero.
const NOW: Duration = Duration::from_secs(10);

/// The numbers that are drawn as lines, at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    at: Instant,
    done: f64,
    failed_calls: f64,
    backlog: f64,
    limit: f64,
}

/// The numbers that are drawn as lines, per second where they are counters.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lines {
    pub(super) done: Vec<f64>,
    pub(super) failed_calls: Vec<f64>,
    pub(super) backlog: Vec<f64>,
    pub(super) limit: Vec<f64>,
}

/// What one look at a worker gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    pub(super) sample: Sample,
    /// The state, and its sentence; `None` if `/readyz` is not the page of a worker.
    pub(super) state: Option<(ReadinessState, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) address: String,
    /// The latest look; `None` before the first answer.
    pub(super) look: Option<Look>,
    /// Why the latest look failed. The earlier numbers are stale then.
    pub(super) fault: Option<String>,
    points: VecDeque<Point>,
}

impl Watched {
    pub(super) const fn new(address: String) -> Self {
        Self { address, look: None, fault: None, points: VecDeque::new() }
    }

    pub(super) fn record(&mut self, at: Instant, looked: Result<Look, String>) {
        let look = match looked {
            Ok(look) => look,
            Err(fault) => {
                self.fault = Some(fault);
                return;
            }
        };
        let Sample { done, failed_calls, limit, .. } = look.sample;
        // A worker that started again counts from zero.
        if self
            .points
            .back()
            .is_some_and(|last| last.done > done || last.failed_calls > failed_calls)
        {
            self.points.clear();
        }
        if self.points.len() == KEPT {
            self.points.pop_front();
        }
        self.points.push_back(Point {
            at,
            done,
            failed_calls,
            backlog: look.sample.backlog(),
            limit,
        });
        (self.look, self.fault) = (Some(look), None);
    }

    /// The latest sample, if it is not stale.
    pub(super) fn sample(&self) -> Option<&Sample> {
        self.look.as_ref().filter(|_| self.fault.is_none()).map(|look| &look.sample)
    }

    /// Jobs done and failed calls per second; `None` before the second sample, and for a worker that does not answer.
    pub(super) fn rates(&self) -> Option<(f64, f64)> {
        let last = self.points.back().filter(|_| self.fault.is_none())?;
        let before = self.points.iter().rev().skip(1);
        let first = before.clone().take_while(|point| last.at - point.at <= NOW).last();
        let first = first.or_else(|| before.clone().next())?;
        let rate = |count: fn(&Point) -> f64| per_second(first, last, count);
        Some((rate(|point| point.done), rate(|point| point.failed_calls)))
    }

    pub(super) fn lines(&self) -> Lines {
        let pairs = || self.points.iter().zip(self.points.iter().skip(1));
        let rates = |count: fn(&Point) -> f64| -> Vec<f64> {
            pairs().map(|(before, after)| per_second(before, after, count)).collect()
        };
        Lines {
            done: rates(|point| point.done),
            failed_calls: rates(|point| point.failed_calls),
            backlog: self.points.iter().map(|point| point.backlog).collect(),
            limit: self.points.iter().map(|point| point.limit).collect(),
        }
    }
}

fn per_second(from: &Point, to: &Point, count: fn(&Point) -> f64) -> f64 {
    let seconds = (to.at - from.at).as_secs_f64();
    if seconds > 0.0 { (count(to) - count(from)).max(0.0) / seconds } else { 0.0 }
}

impl Lines {
    /// The lines of several workers: sums, but the largest backlog, because they see the same queues. The latest
    /// points belong together.
    pub(super) fn together<'a>(watched: impl IntoIterator<Item = &'a Watched>) -> Self {
        let mut all = Self::default();
        for lines in watched.into_iter().map(Watched::lines) {
            join(&mut all.done, &lines.done, |a, b| a + b);
            join(&mut all.failed_calls, &lines.failed_calls, |a, b| a + b);
            join(&mut all.limit, &lines.limit, |a, b| a + b);
            join(&mut all.backlog, &lines.backlog, f64::max);
        }
        all
    }
}

fn join(all: &mut Vec<f64>, one: &[f64], with: fn(f64, f64) -> f64) {
    if one.len() > all.len() {
        all.splice(0..0, std::iter::repeat_n(0.0, one.len() - all.len()));
    }
    for (all, one) in all.iter_mut().rev().zip(one.iter().rev()) {
        *all = with(*all, *one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::sample::tests::sample;

    fn look(done: u32) -> Look {
        Look { sample: sample(done), state: None }
    }

    #[tokio::test(start_paused = true)]
    async fn rates_follow_the_counters_and_begin_anew_after_a_restart() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut worker = Watched::new("a:1".to_owned());
        assert_eq!(worker.rates(), None);
        worker.record(at(0), Ok(look(0)));
        assert_eq!(worker.rates(), None, "one sample is no rate");
        worker.record(at(2), Ok(look(20)));
        worker.record(at(4), Ok(look(60)));
        assert_eq!(worker.rates(), Some((15.0, 0.0)));
        assert_eq!(worker.lines().done, [10.0, 20.0]);
        worker.record(at(30), Ok(look(60 + 26)));
        assert_eq!(worker.rates(), Some((1.0, 0.0)), "over the only pair that is there");
        worker.record(at(32), Err("refused".to_owned()));
        assert_eq!((worker.rates(), worker.sample()), (None, None), "stale");
        worker.record(at(34), Ok(look(3)));
        assert_eq!((worker.rates(), worker.lines().backlog.len()), (None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_a_terminal_draws() {
        let mut worker = Watched::new("a:1".to_owned());
        for n in (0..).take(KEPT + 10) {
            worker.record(Instant::now(), Ok(look(n)));
            tokio::time::advance(NOW).await;
        }
        assert_eq!(worker.lines().limit.len(), KEPT);
    }

    #[test]
    fn lines_of_several_workers_end_at_the_same_time() {
        let mut all = vec![1.0, 2.0];
        join(&mut all, &[10.0, 20.0, 30.0], |a, b| a + b);
        assert_eq!(all, [10.0, 21.0, 32.0]);
        join(&mut all, &[5.0], f64::max);
        assert_eq!(all, [10.0, 21.0, 32.0]);
    }
}
