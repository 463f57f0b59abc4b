//! The list of failed lines, made from the journal: the one file that somebody has to look at afterwards.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::journal::{Record, What};

/// As that of the journal that it is made from.
const MODE: u32 = 0o600;

/// Where an entry stands in the journal.
type Place = (u64, usize);

/// A list that was written, and where it could not be.
#[derive(Debug)]
pub struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// The places before that one, and why each did not do.
    pub refused: Vec<(PathBuf, io::Error)>,
}

/// Writes the entries of all lines that failed to the first of the places where that can be done: beside
/// the input there may be read-only media. A former list at a later place is taken away, for somebody
/// would believe it.
///
/// # Errors
///
/// Each place, and why it did not do.
pub fn list_at(journal: &Path, places: &[PathBuf]) -> Result<Listed, Vec<(PathBuf, io::Error)>> {
    let mut refused = Vec::new();
    for (n, path) in places.iter().enumerate() {
        match list(journal, path) {
            Ok(()) => {
                for former in &places[n + 1..] {
                    // It may be another's folder by now.
                    let _ = remove(former);
                }
                return Ok(Listed { path: path.clone(), refused });
            }
            Err(error) => refused.push((path.clone(), error)),
        }
    }
    Err(refused)
}

/// Writes the entries of all lines that failed, in the order of the lines, to `path`; takes a former
/// list away where none failed.
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
    // In one step, so that nobody reads half a list, and a link of this name is replaced, not followed.
    fs::rename(unfinished, path)
}

/// Where the list is until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Makes a new file in place of one that a killed run left behind.
fn create(path: &Path) -> io::Result<File> {
    remove(path)?;
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        // Read-only media say so also of what is not there.
        Err(error) if path.symlink_metadata().is_ok() => Err(error),
        _ => Ok(()),
    }
}

/// The last entries of the lines that failed.
fn places(journal: &File) -> io::Result<BTreeMap<u64, Place>> {
    let mut reader = BufReader::new(journal);
    let mut failed = BTreeMap::new();
    let (mut line, mut offset) = (Vec::new(), 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        match Record::read(line.trim_ascii_end()) {
            Some(Record::Entry(entry)) if matches!(entry.what, What::Failed(_)) => {
                failed.insert(entry.line, (offset, line.len()));
            }
            Some(Record::Entry(entry)) => {
                failed.remove(&entry.line);
            }
            Some(Record::Again(lines)) => {
                for line in lines {
                    failed.remove(&line);
                }
            }
            // The lines of another input.
            Some(Record::Header(_)) => failed.clear(),
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
        sweep::journal::{Entry, Header},
    };

    fn refused(line: u64, detail: &str) -> Record {
        Record::Entry(Entry::refused(line, detail.to_owned(), SystemTime::UNIX_EPOCH))
    }

    fn done(line: u64) -> Record {
        let what = What::Ended(Completion::Revoked);
        Record::Entry(Entry::without_a_call(line, None, what, SystemTime::UNIX_EPOCH))
    }

    #[test]
    fn the_last_word_on_each_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, path) = (folder.path().join("j"), folder.path().join("failed"));
        let header = Record::Header(Header::new(None, "https://e".to_owned(), BTreeMap::new()));
        let records = [
            header.clone(),
            refused(9, "of another input"),
            header,
            Record::Started(9),
            refused(7, "second"),
            refused(3, "former"),
            refused(5, "mended"),
            refused(6, "under way"),
            Record::Again(vec![3, 5, 6]),
            done(5),
            refused(3, "first"),
        ];
        let mut text = Record::lines(&records);
        fs::write(&journal, &text).unwrap();
        list(&journal, &path).unwrap();
        let listed = fs::read(&path).unwrap();
        let expected = Record::lines(&[refused(3, "first"), refused(7, "second")]);
        assert_eq!(String::from_utf8(listed).unwrap(), String::from_utf8(expected).unwrap());

        text.extend(Record::lines(&[done(3), done(7)]));
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
        let header = Record::Header(Header::new(None, "https://e".to_owned(), BTreeMap::new()));
        fs::write(&journal, Record::lines(&[header, Record::Started(9), refused(7, "x")])).unwrap();
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
