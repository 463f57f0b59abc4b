//! The outcome events of a case: each job that ended has one that says how, and repeats are equal.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::expected::ExpectedEndings;
use crate::harness::{StoredMessage, canary, fingerprint};

/// Events that are searched for canaries: a search of each would take longer than a large case.
const SEARCHED: usize = 2_000;

/// The end of a job in an event: the outcome, and the reason of a dead letter.
type End = (String, Option<String>);

/// The events by the job id that they name.
#[derive(Debug, Default)]
pub struct RecordedEndings {
    jobs: BTreeMap<String, BTreeSet<End>>,
    /// Events beyond the first with the same id.
    pub repeats: usize,
}

impl RecordedEndings {
    /// Reads the events. Fails if two with the same id differ in more than their time.
    pub fn read(events: &[StoredMessage]) -> Self {
        for event in events.iter().take(SEARCHED) {
            canary::assert_clean("an outcome event", &event.body);
        }
        let mut recorded = Self::default();
        let mut ids: BTreeMap<String, (String, End)> = BTreeMap::new();
        for event in events {
            let event: Value = serde_json::from_slice(&event.body).expect("an event is JSON");
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let data = &event["data"];
            let id = text(&event["id"]).expect("an id");
            let job = text(&data["job_id"]).expect("a job id");
            let end = (text(&data["outcome"]).expect("an outcome"), text(&data["reason"]));
            recorded.jobs.entry(job.clone()).or_default().insert(end.clone());
            if let Some(before) = ids.insert(id.clone(), (job.clone(), end.clone())) {
                assert_eq!(before, (job, end), "two events have the id {id}");
                recorded.repeats += 1;
            }
        }
        recorded
    }

    /// Fails if a job of `expected` has no event, or none that fits its end.
    pub fn audit(&self, expected: &ExpectedEndings, letters: &[StoredMessage]) {
        let mut dead: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
        for letter in letters {
            let id = letter.properties.message_id().as_ref().map(ToString::to_string);
            dead.entry(id.unwrap_or_default()).or_default().insert(letter.text("x-revoker-reason"));
        }
        let mut without = Vec::new();
        for (id, token) in expected.jobs() {
            let ends: BTreeSet<&End> = [id.to_owned(), fingerprint(token), fingerprint(id)]
                .iter()
                .filter_map(|name| self.jobs.get(name))
                .flatten()
                .collect();
            let fits = match dead.get(id) {
                // A job that the broker itself dead-letters may never have reached a worker.
                Some(reasons) => reasons.iter().filter(|reason| reason.is_some()).all(|reason| {
                    ends.iter()
                        .any(|(outcome, recorded)| outcome == "dead_lettered" && recorded == reason)
                }),
                None => ends.iter().any(|(outcome, _)| outcome != "dead_lettered"),
            };
            if !fits {
                without.push(format!("{id}: {ends:?}, its dead letters: {:?}", dead.get(id)));
            }
        }
        assert!(
            without.is_empty(),
            "{} jobs ended without an event that says how: {without:?}",
            without.len()
        );
    }
}

/// The audit fails for a job without an event, and for a repeat that differs.
#[test]
fn a_job_without_an_event_is_found() {
    use super::Ending;
    use crate::harness::Message;

    let event = |id: &str, job: &str, outcome: &str| StoredMessage {
        body: serde_json::json!({"id": id, "data": {"job_id": job, "outcome": outcome}})
            .to_string()
            .into_bytes(),
        properties: Message::new("").properties(),
        redelivered: false,
    };
    let audit = |events: Vec<StoredMessage>| {
        let mut expected = ExpectedEndings::default();
        expected.add("job-1".to_owned(), "token".to_owned(), Ending::Revoked);
        std::panic::catch_unwind(move || {
            let recorded = RecordedEndings::read(&events);
            recorded.audit(&expected, &[]);
            recorded.repeats
        })
        .ok()
    };
    assert_eq!(
        audit(vec![event("a", "job-1", "revoked"), event("a", "job-1", "revoked")]),
        Some(1)
    );
    assert_eq!(audit(vec![]), None, "no event");
    assert_eq!(audit(vec![event("a", "job-2", "revoked")]), None, "another job's");
    assert_eq!(audit(vec![event("a", "job-1", "dead_lettered")]), None, "it was revoked");
    let differing = vec![event("a", "job-1", "revoked"), event("a", "job-1", "duplicate")];
    assert_eq!(audit(differing), None, "two ends with one id");
}
