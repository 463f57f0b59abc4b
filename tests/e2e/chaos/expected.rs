//! The jobs that the broker confirmed to their producer, and how each must end.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{AnswerKind, StoredMessage, endpoint::Entry};

/// The reason of messages that the broker dead-lettered by itself.
pub const BROKER_DROPPED: &str = "broker_dropped";

/// How a job must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Revoked by the endpoint, or a dead letter with the ambiguity if it was called again after a lost answer.
    Revoked,
    /// A dead letter with one of these reasons.
    Dead(&'static [&'static str]),
}

/// The endpoint rejects every call for it.
pub const REJECTED: Ending = Ending::Dead(&["rejected", "rejected_after_ambiguity"]);

/// The jobs by their message id.
#[derive(Debug, Default)]
pub struct ExpectedEndings {
    jobs: BTreeMap<String, (String, Ending)>,
    /// Reasons for which the fault may dead-letter any job.
    allowed: Vec<&'static str>,
}

/// The result of the audit.
#[derive(Debug)]
pub struct Audit {
    pub revoked: usize,
    /// Calls for a token that already had a verdict.
    pub calls_twice: usize,
    /// Dead letters of a job that already had one.
    pub letters_twice: usize,
}

impl ExpectedEndings {
    /// Adds a job.
    pub fn add(&mut self, id: String, token: String, ending: Ending) {
        let before = self.jobs.insert(id, (token, ending));
        assert!(before.is_none(), "two jobs have one id");
    }

    /// Accepts dead letters with this reason for any job.
    pub fn allow(&mut self, reason: &'static str) {
        self.allowed.push(reason);
    }

    /// The ids and the tokens of all jobs.
    pub fn jobs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.jobs.iter().map(|(id, (token, _))| (id.as_str(), token.as_str()))
    }

    /// The number of jobs.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The number of jobs that must become dead letters.
    pub fn dead_letters(&self) -> usize {
        self.jobs.values().filter(|(_, ending)| *ending != Ending::Revoked).count()
    }

    /// The number of jobs that must be revoked and are not in `revoked`.
    pub fn unrevoked(&self, revoked: &BTreeSet<String>) -> usize {
        let missing = |(token, ending): &&(String, Ending)| {
            *ending == Ending::Revoked && !revoked.contains(token)
        };
        self.jobs.values().filter(missing).count()
    }

    /// Compares every job with the endpoint's ledger and the dead-letter queue. Fails if a job is lost or
    /// dead-lettered with a wrong reason.
    pub fn audit(&self, calls: &[Entry], letters: &[StoredMessage]) -> Audit {
        let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut revoked = BTreeSet::new();
        for call in calls {
            if matches!(call.said, Some(AnswerKind::Revoked | AnswerKind::Rejected)) {
                *verdicts.entry(&call.token).or_default() += 1;
            }
            if call.said == Some(AnswerKind::Revoked) {
                revoked.insert(call.token.as_str());
            }
        }
        let mut dead: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for letter in letters {
            let id = letter.properties.message_id().as_ref().map(ToString::to_string);
            let reason = letter.text("x-revoker-reason").unwrap_or(BROKER_DROPPED.to_owned());
            dead.entry(id.unwrap_or_default()).or_default().push(reason);
        }
        let strangers: Vec<_> = dead.keys().filter(|id| !self.jobs.contains_key(*id)).collect();
        assert!(strangers.is_empty(), "dead letters of no job: {strangers:?}");

        let mut lost = Vec::new();
        for (id, (token, ending)) in &self.jobs {
            let reasons = dead.get(id).map_or(&[][..], Vec::as_slice);
            let fitting = match ending {
                Ending::Dead(fitting) => fitting,
                Ending::Revoked => &["rejected_after_ambiguity"][..],
            };
            let fits = |reason: &String| {
                fitting.contains(&reason.as_str()) || self.allowed.contains(&reason.as_str())
            };
            assert!(reasons.iter().all(fits), "{id} was to be {ending:?}, and is {reasons:?}");
            let is_revoked = *ending == Ending::Revoked && revoked.contains(token.as_str());
            if reasons.is_empty() && !is_revoked {
                lost.push(id);
            }
        }
        assert!(lost.is_empty(), "{} jobs were lost: {lost:?}", lost.len());
        Audit {
            revoked: revoked.len(),
            calls_twice: verdicts.values().map(|told| told - 1).sum(),
            letters_twice: letters.len() - dead.len(),
        }
    }
}

/// The audit fails for a lost job and for a wrong reason.
#[test]
fn a_lost_job_and_a_wrong_reason_are_found() {
    use crate::harness::Message;

    let called = |said| Entry { token: "a".to_owned(), arrived: std::time::Instant::now(), said };
    let letter = |reason: &str| StoredMessage {
        body: Vec::new(),
        properties: Message::new("")
            .id("1")
            .header("x-revoker-reason", crate::harness::message::text(reason))
            .properties(),
        redelivered: false,
    };
    let audit = |ending, calls: Vec<Entry>, letters: Vec<StoredMessage>| {
        let mut expected = ExpectedEndings::default();
        expected.add("1".to_owned(), "a".to_owned(), ending);
        std::panic::catch_unwind(move || expected.audit(&calls, &letters)).ok()
    };
    let revoked = Some(AnswerKind::Revoked);
    assert!(audit(Ending::Revoked, vec![], vec![]).is_none(), "it is nowhere");
    assert!(audit(Ending::Revoked, vec![called(None)], vec![]).is_none(), "it was told nothing");
    assert!(audit(Ending::Revoked, vec![], vec![letter("rejected")]).is_none(), "it is no stray");
    assert!(
        audit(REJECTED, vec![called(Some(AnswerKind::Rejected))], vec![]).is_none(),
        "no letter"
    );
    assert!(audit(REJECTED, vec![], vec![letter("exhausted")]).is_none(), "another reason");
    let twice = vec![called(revoked), called(Some(AnswerKind::Rejected))];
    let found = audit(Ending::Revoked, twice, vec![letter("rejected_after_ambiguity")]).unwrap();
    assert_eq!((found.revoked, found.calls_twice, found.letters_twice), (1, 1, 0));
    let found = audit(REJECTED, vec![], vec![letter("rejected"), letter("rejected")]).unwrap();
    assert_eq!(found.letters_twice, 1);
}
