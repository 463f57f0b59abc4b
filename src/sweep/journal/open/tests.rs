use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::SystemTime,
};

use tempfile::TempDir;

use super::*;
use crate::{
    domain::Completion,
    sweep::journal::{EntryKind, InputId, JournalEntry, LineJob, LineOutcome, LineState},
};

/// A sweep of an input without lone carriage returns.
fn sweep(header: &JournalHeader, force: bool) -> ResumeCheck<'_> {
    ResumeCheck { header, force, has_lone_returns: &|| Ok(false) }
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("leak.csv.journal.ndjson")
    }

    fn open(&self, header: &JournalHeader) -> Result<OpenedJournal, JournalOpenError> {
        open(&self.journal(), &sweep(header, false))
    }

    fn append(&self, records: &[JournalRecord]) {
        let mut bytes = fs::read(self.journal()).unwrap();
        JournalRecord::Synced(bytes.len() as u64).write(&mut bytes);
        bytes.extend(JournalRecord::lines(records));
        fs::write(self.journal(), bytes).unwrap();
    }

    fn read(&self) -> String {
        fs::read_to_string(self.journal()).unwrap()
    }
}

fn header() -> JournalHeader {
    let input = InputId { sha256: "ab".repeat(32), size: 7 };
    let settings = BTreeMap::from([("audience".to_owned(), "a".to_owned())]);
    JournalHeader::new(Some(input), "https://e/revoke".to_owned(), settings)
}

fn revoked(line: u64) -> JournalRecord {
    let kind = EntryKind::Ended(Completion::Revoked);
    JournalRecord::Entry(JournalEntry::without_a_call(
        line,
        LineJob::any(),
        kind,
        SystemTime::UNIX_EPOCH,
    ))
}

#[test]
fn a_new_journal_is_its_owners_alone_and_begins_with_its_header() {
    let folder = Folder::new();
    let opened = folder.open(&header()).unwrap();
    assert!(!opened.resumed);
    assert_eq!(opened.state, JournalState::new(header()));
    assert_eq!(opened.length, folder.read().len() as u64);
    let mode = fs::metadata(folder.journal()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, MODE);
    drop(opened);
    let again = folder.open(&header()).unwrap();
    assert!(again.resumed);
    assert_eq!(folder.read().lines().count(), 1, "the header is written once");
}

#[test]
fn two_sweeps_never_share_a_journal() {
    let folder = Folder::new();
    let first = folder.open(&header()).unwrap();
    assert!(matches!(folder.open(&header()), Err(JournalOpenError::Locked)));
    drop(first);
    assert!(folder.open(&header()).is_ok());
}

#[test]
fn a_torn_end_is_cut_off_before_anything_is_added() {
    let folder = Folder::new();
    drop(folder.open(&header()).unwrap());
    folder.append(&[JournalRecord::Started(9), revoked(1)]);
    let whole = folder.read();
    fs::write(folder.journal(), format!("{whole}{{\"line\":2,\"ou")).unwrap();
    let opened = folder.open(&header()).unwrap();
    assert_eq!(
        opened.state.line_state(1),
        LineState::Ended(LineOutcome::Ended(Completion::Revoked))
    );
    assert_eq!(opened.state.line_state(2), LineState::InDoubt);
    assert_eq!(opened.length, whole.len() as u64);
    assert_eq!(folder.read(), whole);
}

#[test]
fn a_torn_header_is_written_anew() {
    let folder = Folder::new();
    fs::write(folder.journal(), "{\"revoker_jour").unwrap();
    let opened = folder.open(&header()).unwrap();
    assert!(!opened.resumed);
    drop(opened);
    assert!(folder.open(&header()).unwrap().resumed);
}

/// The result for each differing header. A refused journal is not written to.
#[test]
fn a_journal_of_something_else_is_refused() {
    let folder = Folder::new();
    drop(folder.open(&header()).unwrap());
    folder.append(&[JournalRecord::Started(9), revoked(1)]);
    let before = folder.read();
    let endpoint = JournalHeader { endpoint: "https://other/revoke".to_owned(), ..header() };
    let changed =
        JournalHeader { input: Some(InputId { sha256: "cd".repeat(32), size: 7 }), ..header() };
    let pipe = JournalHeader { input: None, ..header() };
    let audience = [("audience".to_owned(), "b".to_owned())].into();
    let audience = JournalHeader { settings: audience, ..header() };
    let client = JournalHeader { settings: BTreeMap::new(), ..header() };
    for (other, text, forced) in [
        (endpoint, "another --journal", false),
        (changed, "--force", true),
        (pipe, "standard input", true),
        (audience, "audience was a when the sweep began and is b", true),
        (client, "is not set", true),
    ] {
        let refusal = folder.open(&other).unwrap_err();
        assert!(refusal.to_string().contains(text), "{refusal}");
        assert!(refusal.is_usage(), "{refusal}");
        assert!(inspect(&folder.journal(), &sweep(&other, false)).is_err(), "{refusal}");
        assert_eq!(folder.read(), before, "{refusal}");

        let looked = inspect(&folder.journal(), &sweep(&other, true));
        assert_eq!(folder.read(), before, "looked at");
        let opened = open(&folder.journal(), &sweep(&other, true));
        assert_eq!(opened.is_ok(), forced, "{refusal}");
        if let Ok(opened) = opened {
            assert_eq!(opened.state.line_state(1), LineState::InDoubt, "the lines are other ones");
            assert_eq!(Some(opened.state), looked.unwrap(), "a look tells the same");
            assert!(folder.read().starts_with(&before), "the past is kept");
            drop(opened.file);
            let read = recover(folder.read().as_bytes()).unwrap();
            assert!(!read.torn && read.state.is_some_and(|state| *state.header() == other));
        }
        fs::write(folder.journal(), &before).unwrap();
    }
}

#[test]
fn a_file_of_something_else_is_left_as_it_was() {
    let folder = Folder::new();
    let tokens = "{\"refresh_token\":\"t\"}\n";
    fs::write(folder.journal(), tokens).unwrap();
    let refusal = folder.open(&header()).unwrap_err();
    assert!(refusal.is_usage(), "{refusal}");
    assert!(!refusal.to_string().contains("refresh_token"), "{refusal}");
    assert_eq!(folder.read(), tokens);
}

#[test]
fn a_missing_journal_is_inspected_without_being_created() {
    let folder = Folder::new();
    assert!(inspect(&folder.journal(), &sweep(&header(), false)).unwrap().is_none());
    assert!(!folder.journal().exists());
}

/// A journal of the earlier version, which counted only line feeds. Its line numbers are still right unless a
/// carriage return alone ends a line.
#[test]
fn a_journal_that_counted_line_feeds_is_resumed_if_the_numbers_agree() {
    let folder = Folder::new();
    drop(folder.open(&header()).unwrap());
    folder.append(&[
        JournalRecord::Started(9),
        revoked(1),
        JournalRecord::Finished(SystemTime::UNIX_EPOCH),
    ]);
    let former = folder.read().replacen(":2,", ":1,", 1);
    assert!(former.starts_with("{\"revoker_journal\":1,"), "{former}");
    fs::write(folder.journal(), &former).unwrap();

    let opened = folder.open(&header()).unwrap();
    assert!(opened.resumed);
    assert_eq!(
        opened.state.line_state(1),
        LineState::Ended(LineOutcome::Ended(Completion::Revoked))
    );
    assert_eq!(folder.read(), former, "nothing is to be said");
    drop(opened);

    let lone = |force| ResumeCheck { has_lone_returns: &|| Ok(true), ..sweep_of(force) };
    let refusal = open(&folder.journal(), &lone(false)).unwrap_err();
    assert!(matches!(refusal, JournalOpenError::OtherNumbers), "{refusal}");
    assert!(refusal.is_usage() && refusal.to_string().contains("--force"), "{refusal}");
    assert!(inspect(&folder.journal(), &lone(false)).is_err());
    assert_eq!(folder.read(), former);

    let looked = inspect(&folder.journal(), &lone(true)).unwrap();
    let opened = open(&folder.journal(), &lone(true)).unwrap();
    assert_eq!(
        opened.state.line_state(1),
        LineState::InDoubt,
        "another line may have had this number"
    );
    assert_eq!(Some(opened.state), looked);
    drop(opened.file);
    let opened = open(&folder.journal(), &lone(false)).unwrap();
    assert_eq!(opened.state.line_state(9), LineState::InDoubt, "and so it is after a restart");
}

/// The same with an unreadable input: the error is not about the journal.
#[test]
fn an_input_that_cannot_be_read_is_no_fault_of_the_journal() {
    let folder = Folder::new();
    drop(folder.open(&header()).unwrap());
    let former = folder.read().replacen(":2,", ":1,", 1);
    fs::write(folder.journal(), &former).unwrap();
    let unreadable = || Err(input::InputOpenError::NotThere);
    let sweep = ResumeCheck { has_lone_returns: &unreadable, ..sweep_of(false) };
    assert!(matches!(open(&folder.journal(), &sweep), Err(JournalOpenError::Input(_))));
}

/// A sweep with the header of these tests.
fn sweep_of(force: bool) -> ResumeCheck<'static> {
    static HEADER: std::sync::LazyLock<JournalHeader> = std::sync::LazyLock::new(header);
    sweep(&HEADER, force)
}
