//! The current numbers for the status page: those of a scrape, summed and typed.

use super::{
    Metrics,
    family::Family,
    labels::{Depth, JobState, Label, Processed},
};
use crate::domain::{Completion, Lane, PerLane, Reason, ResultLabel};

/// A count for each value of a label, in the order in which the label declares them.
pub type LabelCounts<L> = Vec<(L, u64)>;

/// The counters and gauges at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Jobs that ended, over both lanes.
    pub processed: LabelCounts<Processed>,
    /// Jobs that ended with a success of the endpoint, by lane: revoked, acknowledged, accepted or gone.
    pub done: PerLane<u64>,
    /// Dead letters since the start, over both lanes.
    pub failed: LabelCounts<Reason>,
    /// Calls by result.
    pub calls: LabelCounts<ResultLabel>,
    /// Jobs in flight.
    pub in_flight: LabelCounts<JobState>,
    /// Messages ready in the queues, as last sampled.
    pub queues: LabelCounts<Depth>,
    /// The limit of concurrent calls.
    pub concurrency_limit: u64,
}

impl Metrics {
    /// The current numbers.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let table = &self.table;
        let done = |lane| {
            let ended = Completion::ALL.into_iter().filter(|completion| completion.is_answered());
            ended.map(|completion| table.processed.of((lane, completion.into())).get()).sum()
        };
        Snapshot {
            processed: over_lanes(|lane, outcome| table.processed.of((lane, outcome)).get()),
            done: PerLane::from_fn(done),
            failed: over_lanes(|lane, reason| table.failed.of((lane, reason)).get()),
            calls: each(|result| table.calls.of(result).get()),
            in_flight: each(|state| gauge(&table.in_flight, state)),
            queues: each(|queue| gauge(&table.queue_messages, queue)),
            concurrency_limit: gauge(&table.concurrency_limit, ()),
        }
    }
}

fn each<L: Label>(count: impl Fn(L) -> u64) -> LabelCounts<L> {
    L::ALL.iter().map(|label| (*label, count(*label))).collect()
}

fn over_lanes<L: Label>(count: impl Fn(Lane, L) -> u64) -> LabelCounts<L> {
    each(|label| Lane::ALL.into_iter().map(|lane| count(lane, label)).sum())
}

/// A gauge is below zero only for a moment between two steps.
fn gauge<L: super::labels::LabelSet>(family: &Family<prometheus::IntGauge, L>, labels: L) -> u64 {
    u64::try_from(family.of(labels).get()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::metrics::Build;

    #[test]
    fn it_sums_the_counts_of_both_lanes() {
        let metrics = Arc::new(Metrics::new(Build { version: "1", revision: "r" }).unwrap());
        metrics.processed(Lane::Interactive, Processed::Revoked);
        metrics.processed(Lane::Bulk, Processed::Revoked);
        metrics.processed(Lane::Bulk, Processed::DeadLettered);
        metrics.failed(Lane::Bulk, Reason::Rejected);
        metrics.called(ResultLabel::Http5xx, Duration::ZERO);
        metrics.queue_messages(Depth::Dead, 7);
        metrics.concurrency_limit(40);
        let _waiting = metrics.enter(JobState::BackingOff);

        let now = metrics.snapshot();
        let of = |counts: &LabelCounts<Processed>| -> Vec<u64> {
            counts.iter().map(|(_, n)| *n).collect()
        };
        assert_eq!(of(&now.processed), [2, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(now.done, PerLane { interactive: 1, bulk: 1 });
        assert!(now.failed.contains(&(Reason::Rejected, 1)));
        assert!(now.calls.contains(&(ResultLabel::Http5xx, 1)));
        assert!(now.in_flight.contains(&(JobState::BackingOff, 1)));
        assert!(now.queues.contains(&(Depth::Dead, 7)));
        assert_eq!(now.concurrency_limit, 40);
    }
}
