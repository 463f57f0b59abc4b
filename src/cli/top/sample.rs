//! What one look at a worker's admin pages shows.

use std::{collections::BTreeMap, time::SystemTime};

use serde::Serialize;

use super::exposition::Exposition;
use crate::{
    admin::Readiness,
    domain::{Redactor, ResultLabel},
};

/// Counts by the value of a label.
pub(super) type Counts = BTreeMap<String, f64>;

/// The outcomes that a success of the endpoint gives, as the status page counts them.
const DONE: [&str; 4] = ["revoked", "acknowledged", "accepted", "gone"];

/// The metrics of one worker, or of several together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Sample {
    /// Jobs that ended with a success of the endpoint.
    pub(super) done: f64,
    /// Calls that proved nothing.
    pub(super) failed_calls: f64,
    /// Jobs that ended, by outcome.
    pub(super) processed: Counts,
    /// Dead letters, by reason.
    pub(super) dead_letters: Counts,
    /// Calls, by result.
    pub(super) calls: Counts,
    pub(super) in_flight: Counts,
    /// Messages ready in the queues. All workers of a broker see the same queues.
    pub(super) queues: Counts,
    pub(super) limit: f64,
    /// The workers that are paused as a whole.
    pub(super) paused: f64,
    pub(super) clients_paused: f64,
    /// The age of the oldest job in flight, in seconds.
    pub(super) oldest: f64,
}

impl Sample {
    pub(super) fn of(page: &Exposition) -> Self {
        let processed = page.sums("revocations_processed_total", "outcome");
        let calls = page.sums("endpoint_calls_total", "result");
        let value = |name| page.value(name).unwrap_or_default();
        Self {
            done: DONE.iter().filter_map(|outcome| processed.get(*outcome)).sum(),
            failed_calls: calls
                .iter()
                .filter(|(result, _)| proves_nothing(result))
                .map(|(_, n)| n)
                .sum(),
            dead_letters: page.sums("revocations_failed_total", "reason"),
            in_flight: page.sums("jobs_in_flight", "state"),
            queues: page.sums("queue_messages", "queue"),
            limit: value("concurrency_limit"),
            paused: value("paused"),
            clients_paused: value("clients_paused"),
            oldest: value("oldest_job_in_flight_seconds"),
            processed,
            calls,
        }
    }

    /// The sample of several workers: sums, but the largest of what is the same for all of them.
    pub(super) fn together<'a>(samples: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for sample in samples {
            all.done += sample.done;
            all.failed_calls += sample.failed_calls;
            all.limit += sample.limit;
            all.paused += sample.paused;
            all.clients_paused += sample.clients_paused;
            all.oldest = all.oldest.max(sample.oldest);
            for (all, counts) in [
                (&mut all.processed, &sample.processed),
                (&mut all.dead_letters, &sample.dead_letters),
                (&mut all.calls, &sample.calls),
                (&mut all.in_flight, &sample.in_flight),
            ] {
                for (name, count) in counts {
                    *all.entry(name.clone()).or_default() += count;
                }
            }
            for (name, count) in &sample.queues {
                let most = all.queues.entry(name.clone()).or_default();
                *most = most.max(*count);
            }
        }
        all
    }

    pub(super) fn all_in_flight(&self) -> f64 {
        self.in_flight.values().sum()
    }

    /// Messages ready in the lanes' queues.
    pub(super) fn backlog(&self) -> f64 {
        ["interactive", "bulk"].iter().filter_map(|lane| self.queues.get(*lane)).sum()
    }
}

fn proves_nothing(result: &str) -> bool {
    let known = ResultLabel::ALL.iter().find(|label| label.as_str() == result);
    known.is_some_and(|label| !label.is_answer())
}

/// A worker's state: the sentence of `/readyz` on one line.
pub(super) fn sentence(readiness: &Readiness, now: SystemTime) -> String {
    Redactor::default().clean(&readiness.sentence(now))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A page of `/metrics` with so many jobs done.
    pub fn page(done: u32) -> String {
        format!(
            "revoker_revocations_processed_total{{lane=\"bulk\",outcome=\"revoked\"}} {done}\n\
             revoker_revocations_processed_total{{lane=\"interactive\",outcome=\"gone\"}} 1\n\
             revoker_revocations_processed_total{{lane=\"bulk\",outcome=\"dead_lettered\"}} 4\n\
             revoker_revocations_failed_total{{lane=\"bulk\",reason=\"rejected\"}} 3\n\
             revoker_revocations_failed_total{{lane=\"bulk\",reason=\"exhausted\"}} 1\n\
             revoker_endpoint_calls_total{{result=\"revoked\"}} {done}\n\
             revoker_endpoint_calls_total{{result=\"timeout\"}} 5\n\
             revoker_endpoint_calls_total{{result=\"a_later_one\"}} 9\n\
             revoker_jobs_in_flight{{state=\"calling\"}} 2\n\
             revoker_queue_messages{{queue=\"bulk\"}} 12000\n\
             revoker_queue_messages{{queue=\"dead\"}} 4\n\
             revoker_concurrency_limit 32\nrevoker_paused 0\nrevoker_clients_paused 1\n\
             revoker_oldest_job_in_flight_seconds 2.5\n"
        )
    }

    pub fn sample(done: u32) -> Sample {
        Sample::of(&Exposition::parse(&page(done)).unwrap())
    }

    #[test]
    fn a_page_becomes_counts() {
        let sample = sample(100);
        assert_eq!((sample.done, sample.failed_calls, sample.limit), (101.0, 5.0, 32.0));
        assert_eq!((sample.backlog(), sample.all_in_flight()), (12_000.0, 2.0));
        assert_eq!(sample.dead_letters.get("rejected"), Some(&3.0));
        assert_eq!(Sample::of(&Exposition::default()), Sample::default());
    }

    #[test]
    fn several_workers_add_up_but_see_the_same_queues() {
        let (one, two) = (sample(100), sample(50));
        let all = Sample::together([&one, &two]);
        assert_eq!((all.done, all.limit, all.clients_paused), (152.0, 64.0, 2.0));
        assert_eq!(all.dead_letters.get("rejected"), Some(&6.0));
        assert_eq!((all.backlog(), all.oldest), (12_000.0, 2.5));
    }
}
