//! Compares the worker's metrics with the observations: deliveries = processed + deferrals + in flight.

use std::collections::BTreeMap;

use revoker::{
    domain::{Lane, ResultLabel},
    metrics::Metrics,
    ports::Settled,
};

use super::{LifeNumber, Witness, record::Decided};

/// The expected counters of one worker, by series name.
#[derive(Default)]
pub struct Books {
    expected: BTreeMap<String, u64>,
    taken: u64,
    left: u64,
}

/// The families that are compared, series by series.
const COMPARED: [&str; 5] = [
    "revoker_deliveries_total",
    "revoker_deferrals_total",
    "revoker_revocations_failed_total",
    "revoker_revocations_processed_total",
    "revoker_endpoint_calls_total",
];

impl Books {
    fn one_more(&mut self, series: String) {
        *self.expected.entry(series).or_default() += 1;
    }

    pub fn delivered(&mut self, lane: Lane, redelivered: bool) {
        self.taken += 1;
        self.one_more(format!(
            r#"revoker_deliveries_total{{lane="{lane}",redelivered="{redelivered}"}}"#
        ));
    }

    pub fn called(&mut self, label: ResultLabel) {
        self.one_more(format!(r#"revoker_endpoint_calls_total{{result="{label}"}}"#));
    }

    pub fn settled(&mut self, lane: Lane, decided: Decided, settled: &Settled) {
        self.left += 1;
        let deferred = match (settled, decided) {
            (Settled::Abandoned, _) => Some("abandoned"),
            (Settled::Requeued, _) | (Settled::Done, Decided::Requeued) => Some("handed_back"),
            (Settled::Done, Decided::Parked) => Some("parked"),
            (Settled::Done, Decided::Done(_) | Decided::Dead(_))
            | (Settled::LeftToBroker(_), _) => None,
        };
        if let Some(how) = deferred {
            self.one_more(format!(r#"revoker_deferrals_total{{how="{how}",lane="{lane}"}}"#));
            return;
        }
        let outcome = match decided {
            Decided::Done(ending) => ending.as_str(),
            _ => "dead_lettered",
        };
        self.one_more(format!(
            r#"revoker_revocations_processed_total{{lane="{lane}",outcome="{outcome}"}}"#
        ));
        if let Decided::Dead(reason) = decided {
            self.one_more(format!(
                r#"revoker_revocations_failed_total{{lane="{lane}",reason="{reason}"}}"#
            ));
        }
    }
}

impl Witness {
    /// Compares a worker's metrics with the observations. After an orderly end, no job is in flight.
    pub fn books_hold(&self, life: LifeNumber, metrics: &Metrics, at_its_end: bool) {
        let text = match metrics.render() {
            Ok(text) => text,
            Err(error) => return self.violated(format!("the metrics cannot be rendered: {error}")),
        };
        let mut counted = BTreeMap::new();
        let mut in_flight = 0;
        for line in text.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            let family = series.split('{').next().unwrap_or_default();
            if family == "revoker_jobs_in_flight" {
                in_flight += value;
            } else if COMPARED.contains(&family) && value > 0 {
                counted.insert(series.to_owned(), value);
            }
        }
        let mut state = self.state();
        state.count("worker", "books compared");
        let books = &state.lives[life].books;
        let mut faults = Vec::new();
        if books.expected != counted {
            faults.push(format!("counted {counted:?}, seen {:?}", books.expected));
        }
        if books.taken - books.left != in_flight || (at_its_end && in_flight > 0) {
            faults.push(format!(
                "{in_flight} in flight by the metrics, of {} taken and {} left",
                books.taken, books.left
            ));
        }
        drop(state);
        for fault in faults {
            self.violated(format!("the books of worker {life}: {fault}"));
        }
    }
}
