//! Writes the list of failed lines from the journal.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::journal::{EntryKind, JournalRecord};

/// The mode of the file, as for the journal.
const MODE: u32 = 0o600;

/// Offset and length of an entry in the journal, in bytes.
type EntryPosition = (u64, usize);

#[derive(Debug)]
pub struct FailedList {
    pub path: PathBuf,
    /// The paths before that one, which could not be written.
    pub refused: Vec<(PathBuf, io::Error)>,
}

/// Writes the entries of all failed lines to the first path that can be written: the input may be on
/// read-only media. Removes an outdated list at a later path.
///
/// Fails with the error of each path.
pub fn list_at(
    journal: &Path,
    places: &[PathBuf],
) -> Result<FailedList, Vec<(PathBuf, io::Error)>> {
    let mut refused = Vec::new();
    for (n, path) in places.iter().enumerate() {
        match list(journal, path) {
            Ok(()) => {
                for former in &places[n + 1..] {
                    // The folder may belong to another user by now.
                    let _ = remove(former);
                }
                return Ok(FailedList { path: path.clone(), refused });
            }
            Err(error) => refused.push((path.clone(), error)),
        }
    }
    Err(refused)
}

/// Writes the entries of all failed lines, in the order of the lines. Removes an outdated list if none failed.
fn list(journal: &Path, path: &Path) -> io::Result<()> {
    let journal = File::open(journal)?;
    let failed = places(&journal)?;
    if failed.is_empty() {
        return remove(path);
    }
    let unfinished = unfinished(path);
    let mut list = BufWriter::new(create(&unfinished)?);
    let mut entry = Vec::new();
    for (offset, length) in failed.into_values() {
        entry.resize(length, 0);
        journal.read_exact_at(&mut entry, offset)?;
        list.write_all(&entry)?;
    }
    list.flush()?;
    // One step, so that no reader sees half a list. A link of this name is replaced, not followed.
    fs::rename(unfinished, path)
}

/// The temporary path of an incomplete list.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Replaces the file that a killed run left.
fn create(path: &Path) -> io::Result<File> {
    remove(path)?;
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// Removes a file, if it exists.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        // Read-only media report an error even if the file does not exist.
        Err(error) if path.symlink_metadata().is_ok() => Err(error),
        _ => Ok(()),
    }
}

/// Finds the last entries of the failed lines.
fn places(journal: &File) -> io::Result<BTreeMap<u64, EntryPosition>> {
    let mut reader = BufReader::new(journal);
    let mut failed = BTreeMap::new();
    let (mut line, mut offset) = (Vec::new(), 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        match JournalRecord::read(line.trim_ascii_end()) {
            Some(JournalRecord::Entry(entry)) if matches!(entry.kind, EntryKind::Failed(_)) => {
                failed.insert(entry.line, (offset, line.len()));
            }
            Some(JournalRecord::Entry(entry)) => {
                failed.remove(&entry.line);
            }
            Some(JournalRecord::Again(lines)) => {
                for line in lines {
                    failed.remove(&line);
                }
            }
            // From here on, the lines are those of another input.
            Some(JournalRecord::Header(_)) => failed.clear(),
            _ => {}
        }
        offset += line.len() as u64;
        line.clear();
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::SystemTime};

    use super::*;
    use crate::{
        domain::Completion,
        sweep::journal::{JournalEntry, JournalHeader, LineJob},
    };

    fn refused(line: u64, detail: &str) -> JournalRecord {
        JournalRecord::Entry(JournalEntry::refused(line, detail.to_owned(), SystemTime::UNIX_EPOCH))
    }

    fn done(line: u64) -> JournalRecord {
        let kind = EntryKind::Ended(Completion::Revoked);
        JournalRecord::Entry(JournalEntry::without_a_call(
            line,
            LineJob::any(),
            kind,
            SystemTime::UNIX_EPOCH,
        ))
    }

    #[test]
    fn the_last_word_on_each_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, path) = (folder.path().join("j"), folder.path().join("failed"));
        let header = JournalRecord::Header(JournalHeader::new(
            None,
            "https://e".to_owned(),
            BTreeMap::new(),
        ));
        let records = [
            header.clone(),
            refused(9, "of another input"),
            header,
            JournalRecord::Started(9),
            refused(7, "second"),
            refused(3, "former"),
            refused(5, "mended"),
            refused(6, "under way"),
            JournalRecord::Again(vec![3, 5, 6]),
            done(5),
            refused(3, "first"),
        ];
        let mut text = JournalRecord::lines(&records);
        fs::write(&journal, &text).unwrap();
        list(&journal, &path).unwrap();
        let listed = fs::read(&path).unwrap();
        let expected = JournalRecord::lines(&[refused(3, "first"), refused(7, "second")]);
        assert_eq!(String::from_utf8(listed).unwrap(), String::from_utf8(expected).unwrap());

        text.extend(JournalRecord::lines(&[done(3), done(7)]));
        fs::write(&journal, &text).unwrap();
        list(&journal, &path).unwrap();
        assert!(!path.exists(), "a former list would be believed");
        list(&journal, &path).unwrap();
    }

    #[test]
    fn the_list_goes_where_it_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let journal = place("j");
        let header = JournalRecord::Header(JournalHeader::new(
            None,
            "https://e".to_owned(),
            BTreeMap::new(),
        ));
        fs::write(
            &journal,
            JournalRecord::lines(&[header, JournalRecord::Started(9), refused(7, "x")]),
        )
        .unwrap();
        let places = [place("nowhere/failed"), place("failed"), place("j.failed")];
        fs::write(&places[2], "of a former run").unwrap();

        let listed = list_at(&journal, &places).unwrap();
        assert_eq!(listed.path, places[1]);
        assert_eq!(listed.refused.len(), 1);
        assert_eq!(listed.refused[0].0, places[0]);
        assert!(places[1].exists() && !places[2].exists());
        assert_eq!(list_at(&journal, &places[..1]).unwrap_err().len(), 1);
    }
}
