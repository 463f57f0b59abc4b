use std::{
    collections::BTreeMap, fs, fs::OpenOptions, io::BufReader, path::Path, time::SystemTime,
};

use super::*;
use crate::{
    domain::Completion,
    sweep::journal::{
        EntryKind, JournalEntry, JournalHeader, JournalState, LineJob, LineOutcome, LineState,
        OpenedJournal, ResumeCheck, open, recover,
    },
};

/// A new journal.
fn begin(path: &Path) -> (JournalWriter, Journal) {
    let header = JournalHeader::new(None, "https://e".to_owned(), BTreeMap::new());
    let sweep = ResumeCheck { header: &header, force: false, has_lone_returns: &|| Ok(false) };
    let OpenedJournal { file, length, .. } = open(path, &sweep).unwrap();
    JournalWriter::new(file, length)
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

fn state(path: &Path) -> JournalState {
    recover(BufReader::new(File::open(path).unwrap())).unwrap().state.unwrap()
}

/// Awaited records are in the file, and waiting requests share a batch.
#[tokio::test]
async fn a_write_that_returns_is_in_the_file_and_many_share_a_batch() {
    const ENTRIES: u64 = 500;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (writer, journal) = begin(&path);
    // All requests wait before the writer begins.
    let first = tokio::spawn({
        let journal = journal.clone();
        async move { journal.write(&[JournalRecord::Started(ENTRIES)]).await }
    });
    tokio::task::yield_now().await;
    let entries: Vec<_> = (1..=ENTRIES)
        .map(|line| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.write(&[revoked(line)]).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let writing = tokio::spawn(writer.run());
    first.await.unwrap().unwrap();
    for entry in entries {
        entry.await.unwrap().unwrap();
    }
    let state = state(&path);
    for line in 1..=ENTRIES {
        assert_eq!(
            state.line_state(line),
            LineState::Ended(LineOutcome::Ended(Completion::Revoked)),
            "{line}"
        );
    }
    let batches = fs::read_to_string(&path).unwrap().matches("synced").count();
    assert!(batches <= 2, "{batches} batches");
    drop(journal);
    writing.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_file_stays_locked_until_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (writer, journal) = begin(&path);
    let writing = tokio::spawn(writer.run());
    journal.write(&[JournalRecord::Started(1)]).await.unwrap();
    drop(journal);
    let file = writing.await.unwrap().unwrap();
    let other = File::open(&path).unwrap();
    assert!(other.try_lock().is_err());
    drop(file);
    assert!(other.try_lock().is_ok());
}

/// On a full disk, each waiting request fails, and so does every later one.
#[tokio::test]
async fn a_full_disk_fails_waiting_and_later_requests() {
    let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (writer, journal) = JournalWriter::new(file, 0);
    let health = journal.health();
    assert_eq!(health.condition(), Condition::Ready);
    let writing = tokio::spawn(writer.run());
    assert_eq!(journal.write(&[revoked(1)]).await, Err(JournalLost));
    assert!(matches!(writing.await.unwrap(), Err(WriteError::Io(_))));
    assert!(journal.lost().is_cancelled());
    assert_eq!(journal.write(&[revoked(2)]).await, Err(JournalLost));
    assert!(matches!(health.condition(), Condition::NotReady { .. }));
}

#[tokio::test]
async fn an_orderly_end_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (writer, journal) = begin(&path);
    let lost = journal.lost();
    let writing = tokio::spawn(writer.run());
    drop(journal);
    writing.await.unwrap().unwrap();
    assert!(!lost.is_cancelled());
}
