//! The lines of a journal.
//!
//! A journal is NDJSON, so that a person can read it and `jq` can count it. Each field occurs in one kind of record
//! only, which identifies the kind.

use std::{collections::BTreeMap, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::entry::JournalEntry;
use crate::domain::{parse_rfc3339, rfc3339_millis};

pub(super) const VERSION: u32 = 2;

/// The former version, in which only a line feed ended a line. In a file with a lone carriage return, the
/// versions number lines differently.
pub(super) const LINE_FEEDS: u32 = 1;

/// The first bytes of every journal: the header's first field.
pub(super) const BEGINNING: &[u8] = b"{\"revoker_journal\":";

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalRecord {
    /// The first line of each batch: all bytes before this offset are on disk.
    Synced(u64),
    /// No line after this one was called. A later mark replaces it.
    Started(u64),
    /// Lines that had ended or were delayed, and may be called again from here on.
    Again(Vec<u64>),
    /// Every line has ended.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    Finished(SystemTime),
    /// The outcome of a line. A later entry replaces it.
    #[serde(untagged)]
    Entry(JournalEntry),
    /// The first line; repeated if the sweep resumes with another input.
    #[serde(untagged)]
    Header(JournalHeader),
}

/// The input, the endpoint and the settings of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalHeader {
    #[serde(rename = "revoker_journal")]
    pub(super) version: u32,
    /// `None` for standard input.
    pub input: Option<InputId>,
    /// The URL of the endpoint.
    pub endpoint: String,
    /// The settings that determine the jobs of the lines, by name.
    pub settings: BTreeMap<String, String>,
}

impl JournalHeader {
    pub(super) const fn counts_line_feeds(&self) -> bool {
        self.version == LINE_FEEDS
    }

    /// Whether its version accepted an invalid expiry, such as 0, so that live tokens ended as expired.
    pub(super) const fn takes_any_expiry(&self) -> bool {
        self.version == LINE_FEEDS
    }

    pub(super) fn is_of_the_same_sweep(&self, other: &Self) -> bool {
        let Self { version: _, input, endpoint, settings } = self;
        (input, endpoint, settings) == (&other.input, &other.endpoint, &other.settings)
    }

    pub const fn new(
        input: Option<InputId>,
        endpoint: String,
        settings: BTreeMap<String, String>,
    ) -> Self {
        Self { version: VERSION, input, endpoint, settings }
    }
}

/// Identifies a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputId {
    /// The SHA-256 of the bytes on disk, in hex.
    pub sha256: String,
    /// The size in bytes.
    pub size: u64,
}

impl JournalRecord {
    pub fn lines<'a>(records: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut lines = Vec::new();
        for record in records {
            record.write(&mut lines);
        }
        lines
    }

    /// Appends the record with its line break.
    pub fn write(&self, lines: &mut Vec<u8>) {
        // Numbers and strings always serialize. Otherwise the line would be empty, and recovery would report it.
        drop(serde_json::to_writer(&mut *lines, self));
        lines.push(b'\n');
    }

    /// Reads a line without its line break; `None` if it is no record.
    pub fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

fn write_time<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time_text(*at))
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_rfc3339(&text).ok_or_else(|| D::Error::custom("no time"))
}

/// Returns a time in RFC 3339, to the millisecond. Only dates after the year 9999 have no such text.
pub(super) fn time_text(at: SystemTime) -> String {
    rfc3339_millis(at).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{History, Job, JobDefaults, Outcome, TokenHash},
        sweep::journal::LineJob,
    };

    fn written(record: &JournalRecord) -> String {
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
            (JournalRecord::Synced(17), r#"{"synced":17}"#),
            (JournalRecord::Started(9), r#"{"started":9}"#),
            (JournalRecord::Again(vec![3, 5]), r#"{"again":[3,5]}"#),
            (JournalRecord::Finished(at), r#"{"finished":"2026-03-01T12:00:00.25Z"}"#),
            (
                JournalRecord::Header(JournalHeader::new(
                    None,
                    "https://e".to_owned(),
                    BTreeMap::new(),
                )),
                r#"{"revoker_journal":2,"input":null,"endpoint":"https://e","settings":{}}"#,
            ),
        ];
        for (record, line) in cases {
            assert_eq!(written(&record), format!("{line}\n"));
            assert_eq!(JournalRecord::read(line.as_bytes()), Some(record));
        }
        let header =
            JournalRecord::Header(JournalHeader::new(Some(id), "https://e".to_owned(), settings));
        assert!(written(&header).as_bytes().starts_with(BEGINNING));
        assert_eq!(JournalRecord::read(written(&header).trim_end().as_bytes()), Some(header));
    }

    #[test]
    fn a_pause_is_written_only_if_there_was_one_and_is_bounded() {
        let at = parse_rfc3339("2026-03-01T12:00:00.25Z").unwrap();
        let entry = |paused| {
            let history = History { attempts: 3, stays: 1, paused, ..History::default() };
            let job = Job::parse(br#"{"refresh_token":"t"}"#, &JobDefaults::default()).unwrap();
            let parked = Outcome::Parked(Duration::ZERO);
            JournalRecord::Entry(JournalEntry::of(
                7,
                LineJob::of(&job, TokenHash::Short),
                &parked,
                &history,
                at,
            ))
        };
        let paused = |line: &str| match JournalRecord::read(line.trim_end().as_bytes()) {
            Some(JournalRecord::Entry(entry)) => (entry.history.paused, entry.history.parked_at),
            other => panic!("{other:?}"),
        };
        // Older versions wrote every entry like this.
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
    fn an_invalid_record_is_none() {
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
            assert_eq!(JournalRecord::read(line.as_bytes()), None, "{line}");
        }
    }
}
