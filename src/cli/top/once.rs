//! `revoker top --once`: the state of each worker as plain text or JSON, for scripts.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    sample::{Counts, Sample},
    watched::Watched,
};
use crate::admin::{ReadinessState, text};

#[derive(Serialize)]
struct Report<'a> {
    workers: Vec<WorkerReport<'a>>,
}

/// A worker's numbers. They are null if it does not answer.
#[derive(Serialize)]
struct WorkerReport<'a> {
    address: &'a str,
    fault: Option<&'a str>,
    state: Option<ReadinessState>,
    sentence: Option<&'a str>,
    done_per_second: Option<f64>,
    failed_calls_per_second: Option<f64>,
    metrics: Option<&'a Sample>,
}

/// The JSON of all workers, in the order of the command line.
pub(super) fn json(workers: &[Watched]) -> serde_json::Result<String> {
    let workers = workers.iter().map(|worker| {
        let state = worker.look.as_ref().and_then(|look| look.state.as_ref());
        let state = state.filter(|_| worker.fault.is_none());
        WorkerReport {
            address: &worker.address,
            fault: worker.fault.as_deref(),
            state: state.map(|(state, _)| *state),
            sentence: state.map(|(_, sentence)| sentence.as_str()),
            done_per_second: worker.rates().map(|(done, _)| done),
            failed_calls_per_second: worker.rates().map(|(_, failed)| failed),
            metrics: worker.sample(),
        }
    });
    Ok(serde_json::to_string_pretty(&Report { workers: workers.collect() })? + "\n")
}

/// A block of lines for each worker.
pub(super) fn text(workers: &[Watched]) -> String {
    let blocks: Vec<_> = workers.iter().map(block).collect();
    blocks.join("\n")
}

fn block(worker: &Watched) -> String {
    let (Some(look), None) = (&worker.look, &worker.fault) else {
        let fault = worker.fault.as_deref().unwrap_or("no answer yet");
        return format!("{}: does not answer: {fault}\n", worker.address);
    };
    let sentence = look.state.as_ref().map_or("its state is unknown", |(_, sentence)| sentence);
    let mut block = format!("{}: {sentence}\n", worker.address);
    let sample = &look.sample;
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: String| {
        let _ = writeln!(block, "  {name:<24}  {value}");
    };
    if let Some((done, failed)) = worker.rates() {
        line("done per second", text::number(round(done)));
        line("failed calls per second", text::number(round(failed)));
    }
    line("done", text::number(sample.done));
    line("failed calls", text::number(sample.failed_calls));
    line("in flight", counts(&sample.in_flight));
    line("oldest in flight", format!("{:.0} s", sample.oldest));
    line("concurrency limit", text::number(sample.limit));
    line("paused", if sample.paused > 0.0 { "yes" } else { "no" }.to_owned());
    line("paused clients", text::number(sample.clients_paused));
    line("queues", counts(&sample.queues));
    line("ended", counts(&sample.processed));
    line("dead letters", counts(&sample.dead_letters));
    line("calls", counts(&sample.calls));
    block
}

/// Rates with one digit: a mean of few seconds is no more exact.
pub(super) fn round(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

/// `bulk 12,000, dead 4`: counts above zero.
pub(super) fn counts(counts: &Counts) -> String {
    let there = counts.iter().filter(|(_, count)| **count > 0.0);
    let words: Vec<_> =
        there.map(|(name, count)| format!("{name} {}", text::number(*count))).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::cli::top::{sample::tests::sample, watched::Look};

    /// A worker after two looks, and one that does not answer.
    pub fn workers() -> Vec<Watched> {
        let start = Instant::now();
        let look = |done| {
            let state = Some((ReadinessState::Ready, "Running.".to_owned()));
            Ok(Look { sample: sample(done), state })
        };
        let mut one = Watched::new("10.0.0.7:9464".to_owned());
        one.record(start, look(100));
        one.record(start + Duration::from_secs(2), look(125));
        let mut two = Watched::new("10.0.0.8:9464".to_owned());
        two.record(start, Err("connection refused".to_owned()));
        vec![one, two]
    }

    #[tokio::test(start_paused = true)]
    async fn the_text_has_every_worker_and_no_escapes() {
        assert_eq!(
            text(&workers()),
            "10.0.0.7:9464: Running.\n  \
             done per second           12\n  \
             failed calls per second   0\n  \
             done                      126\n  \
             failed calls              5\n  \
             in flight                 calling 2\n  \
             oldest in flight          2 s\n  \
             concurrency limit         32\n  \
             paused                    no\n  \
             paused clients            1\n  \
             queues                    bulk 12,000, dead 4\n  \
             ended                     dead_lettered 4, gone 1, revoked 125\n  \
             dead letters              exhausted 1, rejected 3\n  \
             calls                     a_later_one 9, revoked 125, timeout 5\n\
             \n\
             10.0.0.8:9464: does not answer: connection refused\n"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_json_has_null_for_what_is_unknown() {
        let json: serde_json::Value = serde_json::from_str(&json(&workers()).unwrap()).unwrap();
        let workers = &json["workers"];
        assert_eq!(workers[0]["done_per_second"], 12.5);
        assert_eq!(workers[0]["state"], "ready");
        assert_eq!(workers[0]["metrics"]["queues"]["bulk"], 12_000.0);
        assert_eq!(workers[1]["fault"], "connection refused");
        assert!(workers[1]["metrics"].is_null() && workers[1]["state"].is_null());
    }
}
