//! When jobs ended: counts for equal steps of time. The steps grow with the span, so the memory does not.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::domain::rfc3339_millis;

/// The most steps of a timeline: the bars of its chart.
const MOST: u64 = 96;

/// The steps in seconds. Each one is a multiple of the one before, so that counts can be joined.
const STEPS: [u64; 12] = [1, 2, 10, 30, 60, 120, 600, 1_800, 3_600, 7_200, 21_600, 86_400];

/// The jobs that ended within one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    pub done: u64,
    pub failed: u64,
}

/// The jobs that ended, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The length of a step, in seconds.
    step: u64,
    steps: BTreeMap<u64, Step>,
    span: Option<(SystemTime, SystemTime)>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

impl Timeline {
    pub const fn new() -> Self {
        Self { step: STEPS[0], steps: BTreeMap::new(), span: None }
    }

    /// Counts a job that ended then.
    pub fn add(&mut self, at: SystemTime, failed: bool) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let step = self.steps.entry(since.as_secs() / self.step).or_default();
        *(if failed { &mut step.failed } else { &mut step.done }) += 1;
        while self.width() > MOST {
            self.widen();
        }
    }

    /// The times of the first and the last job.
    pub const fn span(&self) -> Option<(SystemTime, SystemTime)> {
        self.span
    }

    /// The length of a step.
    pub const fn step(&self) -> Duration {
        Duration::from_secs(self.step)
    }

    /// All steps from the first job to the last one, empty ones included.
    pub fn steps(&self) -> Vec<Step> {
        let (Some((first, _)), Some((last, _))) =
            (self.steps.first_key_value(), self.steps.last_key_value())
        else {
            return Vec::new();
        };
        (*first..=*last).map(|at| self.steps.get(&at).copied().unwrap_or_default()).collect()
    }

    fn width(&self) -> u64 {
        match (self.steps.first_key_value(), self.steps.last_key_value()) {
            (Some((first, _)), Some((last, _))) => last - first + 1,
            _ => 0,
        }
    }

    fn widen(&mut self) {
        let next = STEPS.into_iter().find(|step| *step > self.step);
        let next = next.unwrap_or(self.step.saturating_mul(2));
        let factor = next / self.step;
        self.step = next;
        for (at, step) in std::mem::take(&mut self.steps) {
            let joined = self.steps.entry(at / factor).or_default();
            joined.done += step.done;
            joined.failed += step.failed;
        }
    }
}

impl Serialize for Timeline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let steps = self.steps();
        let first = self.steps.first_key_value().map_or(0, |(first, _)| *first);
        let from = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(first.saturating_mul(self.step)))
            .and_then(rfc3339_millis);
        let mut timeline = serializer.serialize_struct("Timeline", 4)?;
        timeline.serialize_field("from", &from.filter(|_| !steps.is_empty()))?;
        timeline.serialize_field("step_seconds", &self.step)?;
        let done: Vec<u64> = steps.iter().map(|step| step.done).collect();
        let failed: Vec<u64> = steps.iter().map(|step| step.failed).collect();
        timeline.serialize_field("done", &done)?;
        timeline.serialize_field("failed", &failed)?;
        timeline.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timeline(seconds: &[u64]) -> Timeline {
        let mut timeline = Timeline::new();
        for at in seconds {
            timeline.add(SystemTime::UNIX_EPOCH + Duration::from_secs(*at), at % 2 == 1);
        }
        timeline
    }

    #[test]
    fn a_short_span_has_steps_of_a_second_and_gaps_are_shown() {
        let short = timeline(&[100, 100, 103]);
        assert_eq!(short.step(), Duration::from_secs(1));
        let both = |step: &Step| (step.done, step.failed);
        assert_eq!(
            short.steps().iter().map(both).collect::<Vec<_>>(),
            [(2, 0), (0, 0), (0, 0), (0, 1)]
        );
        let written = serde_json::to_string(&short).unwrap();
        assert_eq!(
            written,
            r#"{"from":"1970-01-01T00:01:40Z","step_seconds":1,"done":[2,0,0,0],"failed":[0,0,0,1]}"#
        );
        assert_eq!(
            serde_json::to_string(&timeline(&[])).unwrap(),
            r#"{"from":null,"step_seconds":1,"done":[],"failed":[]}"#
        );
    }

    #[test]
    fn each_step_is_a_multiple_of_the_one_before() {
        for pair in STEPS.windows(2) {
            assert_eq!(pair[1] % pair[0], 0, "{pair:?}");
        }
    }

    proptest! {
        /// A wrong clock may name any time. The chart becomes coarse, and no job is lost from it.
        #[test]
        fn any_times_keep_all_counts_and_the_bound(
            seconds in proptest::collection::vec(0..400_000_000_000u64, 1..200),
        ) {
            let steps = timeline(&seconds).steps();
            prop_assert!(steps.len() as u64 <= MOST);
            let failed = seconds.iter().filter(|at| **at % 2 == 1).count() as u64;
            prop_assert_eq!(steps.iter().map(|step| step.failed).sum::<u64>(), failed);
            let all = steps.iter().map(|step| step.done + step.failed).sum::<u64>();
            prop_assert_eq!(all, seconds.len() as u64);
        }
    }
}
