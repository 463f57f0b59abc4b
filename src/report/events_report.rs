//! The report of a time span, from outcome events.

use std::{collections::BTreeSet, fmt, time::SystemTime};

use serde::{Serialize, Serializer};

use super::{
    count_rows::CountRows,
    counts::EndCounts,
    document::{Document, Row, Table, Tone},
    events::EventBook,
    html::span,
    origin::Origin,
    remains::{Remaining, proofs, remaining},
    timeline::Timeline,
};
use crate::domain::{Completion, Proof, Reason, grouped, rfc3339};

/// Where the events came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventsSource {
    /// A file, or `-`.
    File(String),
    Queue(String),
}

/// The report of a time span.
#[derive(Debug, Clone, Serialize)]
pub struct EventsReport {
    pub source: EventsSource,
    #[serde(serialize_with = "time")]
    pub since: Option<SystemTime>,
    #[serde(serialize_with = "time")]
    pub until: Option<SystemTime>,
    pub endpoints: BTreeSet<String>,
    pub profiles: BTreeSet<String>,
    /// The times of the first and the last job that ended.
    #[serde(serialize_with = "time")]
    pub first_ended_at: Option<SystemTime>,
    #[serde(serialize_with = "time")]
    pub last_ended_at: Option<SystemTime>,
    /// The jobs, each by its latest outcome.
    pub jobs: EndCounts,
    pub proof: ProofCounts,
    pub not_proved: Vec<Remaining>,
    pub events: EventCounts,
    pub timeline: Timeline,
    #[serde(flatten)]
    pub origin: Origin,
}

/// The texts that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EventCounts {
    /// Events within the time span, repeated ones included.
    pub counted: u64,
    /// Events outside it.
    pub outside: u64,
    /// Other events, and other lines of a log.
    pub other: u64,
    /// Texts that are no events.
    pub unreadable: u64,
    /// Messages of the queue that another consumer held, so that they were not read.
    pub held_by_others: u64,
}

/// The number of jobs by proof, for JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofCounts([(Proof, u64); Proof::ALL.len()]);

impl ProofCounts {
    pub fn of(counts: &EndCounts) -> Self {
        Self(Proof::ALL.map(|proof| (proof, counts.proved_by(proof))))
    }
}

impl Serialize for ProofCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(proof, count)| (proof.as_str(), count)))
    }
}

impl EventsReport {
    /// Counts the jobs of a book. `held_by_others` is the number of messages that could not be read.
    pub fn new(
        source: EventsSource,
        book: &EventBook,
        (since, until): (Option<SystemTime>, Option<SystemTime>),
        held_by_others: u64,
        origin: Origin,
    ) -> Self {
        let (jobs, timeline) = book.jobs();
        let (first, last) = timeline.span().unzip();
        Self {
            source,
            since,
            until,
            endpoints: book.endpoints.clone(),
            profiles: book.profiles.clone(),
            first_ended_at: first,
            last_ended_at: last,
            proof: ProofCounts::of(&jobs),
            not_proved: remaining(&jobs),
            jobs,
            events: EventCounts {
                counted: book.counted,
                outside: book.outside,
                other: book.other,
                unreadable: book.unreadable,
                held_by_others,
            },
            timeline,
            origin,
        }
    }

    /// Whether every text was read and was an event, or a line of a log.
    pub const fn is_complete(&self) -> bool {
        self.events.unreadable == 0 && self.events.held_by_others == 0
    }

    fn subject(&self) -> String {
        let time = |time: SystemTime| rfc3339(time).unwrap_or_default();
        match (self.since, self.until) {
            (None, None) => "All events".to_owned(),
            (Some(since), None) => format!("Since {}", time(since)),
            (None, Some(until)) => format!("Until {}", time(until)),
            (Some(since), Some(until)) => format!("{} to {}", time(since), time(until)),
        }
    }

    /// The headline. What was not read may be anything, so it comes first.
    fn sentence(&self) -> String {
        match self.events.unreadable + self.events.held_by_others {
            0 => self.ends(),
            unread => {
                format!(
                    "Incomplete: {} could not be read. Of the others: {}",
                    grouped(unread),
                    self.ends()
                )
            }
        }
    }

    fn ends(&self) -> String {
        let (all, proved) = (self.jobs.all(), self.jobs.proved());
        let jobs = if all == 1 { "job" } else { "jobs" };
        if all == 0 {
            return "No job ended in this time.".to_owned();
        }
        match all - proved {
            0 => format!("{} {jobs} ended, and every token is proved dead.", grouped(all)),
            open => format!(
                "{} {jobs} ended. Proved dead: {}. Not proved: {}.",
                grouped(all),
                grouped(proved),
                grouped(open)
            ),
        }
    }

    fn notes(&self) -> Vec<String> {
        let EventCounts { unreadable, held_by_others, .. } = self.events;
        let mut notes = vec![
            "Repeated events count once. A proof of a job counts, and otherwise its latest outcome. Jobs that have not ended have no event."
                .to_owned(),
        ];
        if unreadable > 0 {
            notes.push(format!(
                "Texts that are no outcome events, and do not count: {}.",
                grouped(unreadable)
            ));
        }
        if held_by_others > 0 {
            notes.push(format!(
                "Messages that another consumer of the queue held, so that they are not in this report: {}.",
                grouped(held_by_others)
            ));
        }
        notes
    }

    fn outcomes(&self) -> Vec<Row> {
        let done = Completion::ALL.map(|completion| {
            Row::new(completion.as_str().replace('_', " "), self.jobs.ended(completion))
        });
        let failed = Reason::ALL.map(|reason| {
            let label = format!("dead-lettered: {}", reason.as_str().replace('_', " "));
            Row::new(label, self.jobs.failed_for(reason))
        });
        done.into_iter().chain(failed).filter(|row| row.count > 0).collect()
    }

    /// The page of this report.
    pub fn document(&self) -> Document<'_> {
        let jobs = &self.jobs;
        let open = jobs.all() - jobs.proved();
        let complete = self.is_complete() && open == 0;
        let mut tables = vec![
            Table { title: "How they ended", about: None, rows: self.outcomes() },
            Table { title: "What proves it", about: None, rows: proofs(jobs) },
        ];
        if open > 0 {
            let rows = self.not_proved.iter().map(Remaining::row).collect();
            let about = Some("The tokens of these jobs are not proved dead.");
            tables.push(Table { title: "What remains", about, rows });
        }
        Document {
            subject: self.subject(),
            tone: if complete { Tone::Well } else { Tone::Open },
            sentence: self.sentence(),
            tiles: vec![
                Row::new("Jobs that ended", jobs.all()),
                Row::new("Proved dead", jobs.proved()),
                Row::new("Not proved", open),
                Row::new("Dead letters", jobs.failed()),
            ],
            timeline: &self.timeline,
            tables,
            facts: self.facts(),
            notes: self.notes(),
            origin: &self.origin,
        }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let joined =
            |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let time = |at: Option<SystemTime>| at.and_then(rfc3339);
        let (source, name) = match &self.source {
            EventsSource::File(name) => ("Events of the file", name),
            EventsSource::Queue(name) => ("Events of the queue", name),
        };
        let span = self.timeline.span().map(|(first, last)| span(first, last));
        let facts = [
            (source, Some(name.clone())),
            ("Since", time(self.since)),
            ("Until", time(self.until)),
            ("First end", time(self.first_ended_at)),
            ("Last end", time(self.last_ended_at)),
            ("Time between them", span),
            ("Endpoint", Some(joined(&self.endpoints))),
            ("Profile", Some(joined(&self.profiles))),
            ("Events read", Some(grouped(self.events.counted))),
            ("Signing key", self.origin.signed_by.map(|key| key.to_string())),
        ];
        let facts = facts.into_iter().filter_map(|(name, value)| Some((name, value?)));
        facts.filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// Writes the text for a person.
impl fmt::Display for EventsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Document { subject, sentence, tables, facts, notes, .. } = self.document();
        writeln!(f, "{subject}: {sentence}")?;
        let mut text = CountRows::new(42);
        for Table { title, rows, .. } in tables {
            text.title(2, title);
            for Row { label, count, .. } in rows.iter().filter(|row| row.count > 0) {
                text.add(4, label, *count);
            }
        }
        write!(f, "{text}")?;
        for (name, value) in facts {
            writeln!(f, "  {name:<20} {value}")?;
        }
        notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

#[allow(clippy::ref_option, reason = "serde calls it so")]
fn time<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time.and_then(rfc3339) {
        Some(text) => serializer.serialize_some(&text),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page;

    fn report(texts: &[&str]) -> EventsReport {
        let mut book = EventBook::default();
        for text in texts {
            book.add(text.as_bytes());
        }
        let origin = Origin::new(SystemTime::UNIX_EPOCH, "host".to_owned(), None);
        EventsReport::new(EventsSource::File("-".to_owned()), &book, (None, None), 0, origin)
    }

    const REVOKED: &str = r#"{"outcome":"revoked","settled_at":"2026-03-01T12:00:00Z","job_id":"a","endpoint":"https://e"}"#;
    const REJECTED: &str = r#"{"outcome":"dead_lettered","reason":"rejected","settled_at":"2026-03-01T12:05:00Z","job_id":"b"}"#;

    #[test]
    fn the_three_forms_agree() {
        let report = report(&[REVOKED, REJECTED, REVOKED, "no event"]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["jobs"]["revoked"], 1);
        assert_eq!(json["jobs"]["rejected"], 1);
        assert_eq!(json["proof"]["said"], 1);
        assert_eq!(json["not_proved"][0]["what"], "rejected");
        assert_eq!(json["first_ended_at"], "2026-03-01T12:00:00Z");
        assert_eq!(json["events"]["unreadable"], 1);
        let text = report.to_string();
        let sentence = "Incomplete: 1 could not be read. Of the others: 2 jobs ended. Proved dead: 1. Not proved: 1.";
        assert!(text.contains(sentence) && text.contains("and do not count: 1."), "{text}");
        let html = page(&report.document());
        for part in [sentence, "What remains", "https://e", "5m"] {
            assert!(html.contains(part), "no {part}");
        }
        assert!(!report.is_complete());
    }

    #[test]
    fn the_numbers_stand_in_one_column_whatever_the_reasons_are() {
        let events = Reason::ALL.map(|reason| {
            let event = REJECTED.replace("rejected", reason.as_str());
            event.replace("\"b\"", &format!("\"{reason}\""))
        });
        let texts: Vec<&str> = events.iter().map(String::as_str).chain([REVOKED]).collect();
        let text = report(&texts).to_string();
        let rows = text.lines().filter(|line| line.starts_with("    "));
        let ends: BTreeSet<usize> = rows.map(|row| row.chars().count()).collect();
        assert_eq!(ends.len(), 1, "{text}");
        assert!(text.contains("    dead-lettered: rejected after ambiguity "), "{text}");
    }

    #[test]
    fn no_event_is_said_so() {
        let report = report(&[]);
        assert!(report.is_complete());
        assert!(report.to_string().starts_with("All events: No job ended in this time.\n"));
        let all = super::tests::report(&[REVOKED]);
        assert!(all.to_string().contains("1 job ended, and every token is proved dead."));
    }
}
