//! The list of refused lines beside the input: line and reason, never content.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use serde_json::json;

use crate::input::Refusal;

/// Read and written by its owner alone: even without tokens it tells which files hold some.
const MODE: u32 = 0o600;

/// The list, which is there once there is something to list.
#[derive(Debug)]
pub struct RefusedFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl RefusedFile {
    /// The list for a run from the first line on. One of an earlier run is deleted: this run finds the
    /// same again, or the input is another by now.
    ///
    /// # Errors
    ///
    /// The system's, if it stands there and cannot be deleted.
    pub fn anew(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(Self { path, file: None }),
        }
    }

    /// The list for a run that goes on where an earlier one ended: what it adds goes to the end.
    pub fn continued(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Adds lines of the input, each with its number.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn add(&mut self, refused: &[(u64, Refusal)]) -> io::Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut options = OpenOptions::new();
                let file = options.append(true).create(true).mode(MODE).open(&self.path)?;
                none.insert(BufWriter::new(file))
            }
        };
        for (line, refusal) in refused {
            writeln!(file, "{}", json!({ "line": line, "reason": refusal.to_string() }))?;
        }
        // What is counted must be listed, also after a SIGKILL.
        file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn add(mut refused: RefusedFile, line: u64) {
        refused.add(&[(line, Refusal::LineTooLong)]).unwrap();
    }

    #[test]
    fn it_is_there_once_there_is_something_to_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leak.csv.refused.ndjson");
        let mut refused = RefusedFile::anew(path.clone()).unwrap();
        refused.add(&[]).unwrap();
        assert!(!path.exists());
        add(refused, 7);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"line\":7,\"reason\":\"the line has more than 65536 bytes\"}\n"
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn a_run_from_the_start_begins_it_anew_and_a_continued_one_adds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leak.csv.refused.ndjson");
        let lines = || fs::read_to_string(&path).unwrap().lines().count();
        add(RefusedFile::anew(path.clone()).unwrap(), 1);
        add(RefusedFile::continued(path.clone()), 2);
        assert_eq!(lines(), 2);
        add(RefusedFile::anew(path.clone()).unwrap(), 1);
        assert_eq!(lines(), 1);
        drop(RefusedFile::anew(path.clone()).unwrap());
        assert!(!path.exists());
    }
}
