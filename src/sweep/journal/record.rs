//! What one line of a journal says.
//!
//! A journal is NDJSON, so that a person can read it and `jq` can count it. Its records are told apart
//! by their fields, each of which stands in one kind only.

use std::{collections::BTreeMap, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::entry::{Entry, EntryFields};
use crate::domain::{parse_rfc3339, rfc3339_millis};

/// The version of the form that [`Header`] names.
pub(super) const VERSION: u32 = 2;

/// The version before. A line is what ends with a line feed there; now it may end with a carriage return
/// as well, so the numbers of the two differ in a file in which one stands alone.
pub(super) const LINE_FEEDS: u32 = 1;

/// How every journal begins, byte for byte: the header's first field.
pub(super) const BEGINNING: &[u8] = b"{\"revoker_journal\":";

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// What is swept, and where to. The first line; again where the sweep goes on with another input.
    Header(Header),
    /// The first line of each batch that is written: all bytes before this offset are on disk.
    Synced(u64),
    /// No line after this one was called. Later ones win over earlier ones.
    Started(u64),
    /// These lines, which had ended or were put off, may be called again from here on.
    Again(Vec<u64>),
    /// What became of a line. Later ones win over earlier ones.
    Entry(Entry),
    /// Every line has ended.
    Finished(SystemTime),
}

/// What is swept, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    #[serde(rename = "revoker_journal")]
    pub(super) version: u32,
    /// What the input is known again by; `None` for standard input.
    pub input: Option<InputId>,
    /// The URL that is called.
    pub endpoint: String,
    /// The settings that decide what the lines mean, by their names.
    pub settings: BTreeMap<String, String>,
}

impl Header {
    /// Whether its lines end with line feeds alone.
    pub(super) const fn counts_line_feeds(&self) -> bool {
        self.version == LINE_FEEDS
    }

    /// Whether the version that wrote it took values for an expiry that are none, such as 0, and let their
    /// live tokens end as expired.
    pub(super) const fn takes_any_expiry(&self) -> bool {
        self.version == LINE_FEEDS
    }

    /// Whether the other describes the same sweep.
    pub(super) fn is_of_the_same_sweep(&self, other: &Self) -> bool {
        let Self { version: _, input, endpoint, settings } = self;
        (input, endpoint, settings) == (&other.input, &other.endpoint, &other.settings)
    }

    /// A header of the present version.
    #[must_use]
    pub const fn new(
        input: Option<InputId>,
        endpoint: String,
        settings: BTreeMap<String, String>,
    ) -> Self {
        Self { version: VERSION, input, endpoint, settings }
    }
}

/// What a file is known again by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputId {
    /// Of its bytes as they lie on disk, in hex.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
}

/// The records as they are written.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line<'a> {
    // Most lines by far are of the first kind: it is tried first.
    #[serde(borrow)]
    Entry(EntryFields<'a>),
    Synced {
        synced: u64,
    },
    Started {
        started: u64,
    },
    Again {
        again: Vec<u64>,
    },
    Header(Header),
    Finished {
        finished: String,
    },
}

impl Record {
    /// The records as lines.
    #[must_use]
    pub fn lines<'a>(records: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut lines = Vec::new();
        for record in records {
            record.write(&mut lines);
        }
        lines
    }

    /// Appends the record to `lines`, with its line break.
    pub fn write(&self, lines: &mut Vec<u8>) {
        let line = match self {
            Self::Header(header) => Line::Header(header.clone()),
            Self::Synced(synced) => Line::Synced { synced: *synced },
            Self::Started(started) => Line::Started { started: *started },
            Self::Again(again) => Line::Again { again: again.clone() },
            Self::Entry(entry) => Line::Entry(EntryFields::from(entry)),
            Self::Finished(at) => Line::Finished { finished: time_text(*at) },
        };
        // Numbers and strings always serialize. If one did not, the line would be empty, and recovery
        // would name it.
        drop(serde_json::to_writer(&mut *lines, &line));
        lines.push(b'\n');
    }

    /// Reads a line without its line break; `None` if it is no record.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        Some(match serde_json::from_slice(line).ok()? {
            Line::Entry(fields) => Self::Entry(fields.try_into().ok()?),
            Line::Synced { synced } => Self::Synced(synced),
            Line::Started { started } => Self::Started(started),
            Line::Again { again } => Self::Again(again),
            Line::Header(header) => Self::Header(header),
            Line::Finished { finished } => Self::Finished(parse_rfc3339(&finished)?),
        })
    }
}

/// Empty beyond the year 9999; no clock of ours goes there.
pub(super) fn time_text(at: SystemTime) -> String {
    rfc3339_millis(at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{History, Job, JobDefaults, Outcome};

    fn written(record: &Record) -> String {
        let mut line = Vec::new();
        record.write(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn each_kind_is_one_line_and_read_as_it_was_written() {
        let at = parse_rfc3339("2026-03-01T12:00:00.25Z").unwrap();
        let id = InputId { sha256: "ab".repeat(32), size: 7 };
        let settings = BTreeMap::from([("audience".to_owned(), "a".to_owned())]);
        let cases = [
            (Record::Synced(17), r#"{"synced":17}"#),
            (Record::Started(9), r#"{"started":9}"#),
            (Record::Again(vec![3, 5]), r#"{"again":[3,5]}"#),
            (Record::Finished(at), r#"{"finished":"2026-03-01T12:00:00.25Z"}"#),
            (
                Record::Header(Header::new(None, "https://e".to_owned(), BTreeMap::new())),
                r#"{"revoker_journal":2,"input":null,"endpoint":"https://e","settings":{}}"#,
            ),
        ];
        for (record, line) in cases {
            assert_eq!(written(&record), format!("{line}\n"));
            assert_eq!(Record::read(line.as_bytes()), Some(record));
        }
        let header = Record::Header(Header::new(Some(id), "https://e".to_owned(), settings));
        assert!(written(&header).as_bytes().starts_with(BEGINNING));
        assert_eq!(Record::read(written(&header).trim_end().as_bytes()), Some(header));
    }

    #[test]
    fn a_pause_is_told_only_where_there_was_one_and_lasts_no_longer_than_any_may() {
        let at = parse_rfc3339("2026-03-01T12:00:00.25Z").unwrap();
        let entry = |paused| {
            let history = History { attempts: 3, stays: 1, paused, ..History::default() };
            let job = Job::parse(br#"{"refresh_token":"t"}"#, &JobDefaults::default()).unwrap();
            let parked = Outcome::Parked(Duration::ZERO);
            Record::Entry(Entry::of(7, job.key(), &parked, &history, at))
        };
        let paused = |line: &str| match Record::read(line.trim_end().as_bytes()) {
            Some(Record::Entry(entry)) => (entry.history.paused, entry.history.parked_at),
            other => panic!("{other:?}"),
        };
        // As older versions wrote every entry.
        let never = written(&entry(Duration::ZERO));
        assert!(!never.contains("paused_ms"), "{never}");
        assert_eq!(paused(&never), (Duration::ZERO, Some(at)));
        let long = written(&entry(Duration::from_micros(2_500)));
        assert!(long.contains(r#""paused_ms":3,"#), "{long}");
        assert_eq!(paused(&long), (Duration::from_millis(3), Some(at)));
        let forged = long.replace(r#""paused_ms":3,"#, &format!(r#""paused_ms":{},"#, u64::MAX));
        assert_eq!(paused(&forged), (History::MOST_PAUSED, Some(at)));
    }

    #[test]
    fn what_is_no_record_is_none() {
        let strangers = [
            "",
            "{}",
            "null",
            r#"{"started":-1}"#,
            r#"{"started":1,"synced":2}"#,
            r#"{"started":1"#,
            r#"{"started":1}}"#,
            r#"{"finished":"soon"}"#,
            r#"{"refresh_token":"t"}"#,
            "\0\0\0\0",
        ];
        for line in strangers {
            assert_eq!(Record::read(line.as_bytes()), None, "{line}");
        }
    }
}
