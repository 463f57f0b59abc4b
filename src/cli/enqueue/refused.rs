//! What is told of refused lines, beside the input and in the log: line and reason, never content.

use std::{
    fmt::Display,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use serde_json::json;
use tracing::{error, warn};

/// Read and written by its owner alone: even without tokens it tells which files hold some.
const MODE: u32 = 0o600;

/// So many refused lines are logged as well; a file of the wrong kind has millions.
const LOGGED: usize = 10;

/// Tells which lines are refused, and why.
#[derive(Debug)]
pub struct Refusals {
    list: Option<List>,
    /// Lines that may still be logged.
    log: usize,
}

impl Refusals {
    /// They are logged alone, and only the first of them.
    pub fn logged() -> Self {
        Self { list: None, log: LOGGED }
    }

    /// They are listed in a file, and the first are logged as well.
    ///
    /// A run that goes on where an earlier one ended adds to its list. One from the first line on
    /// deletes it: this run finds the same again, or the input is another by now.
    pub fn listed(path: PathBuf, goes_on: bool) -> Self {
        let list = List { path, file: None };
        let outdated = if goes_on { Ok(()) } else { list.delete() };
        let mut refusals = Self { list: Some(list), log: LOGGED };
        if let Err(error) = outdated {
            refusals.give_list_up(&error);
        }
        refusals
    }

    /// Whether all of them stand in the list.
    pub fn are_listed(&self) -> bool {
        self.list.is_some()
    }

    /// Tells of these, each with its number.
    pub fn tell(&mut self, refused: &[(u64, impl Display)]) {
        let added = self.list.as_mut().map_or(Ok(()), |list| list.add(refused));
        if let Err(error) = added {
            self.give_list_up(&error);
        }
        for (line, refusal) in refused {
            if self.log > 0 {
                self.log -= 1;
                warn!(line, reason = %refusal, "refused");
            }
        }
    }

    /// The folder may be read-only, as in a container. Jobs go before lists: the log takes its place.
    fn give_list_up(&mut self, fault: &io::Error) {
        if let Some(List { path, .. }) = self.list.take() {
            let path = path.display();
            error!("{path} cannot be written: {fault}; all refused lines from here on are logged");
            self.log = usize::MAX;
        }
    }
}

/// The list, which is there once there is something to list.
#[derive(Debug)]
struct List {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl List {
    fn delete(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            // Read-only media say so also of what is not there.
            Err(error) if self.path.symlink_metadata().is_ok() => Err(error),
            _ => Ok(()),
        }
    }

    fn add(&mut self, refused: &[(u64, impl Display)]) -> io::Result<()> {
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
    use std::{os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;
    use crate::input::Refusal;

    const REFUSED: [(u64, Refusal); 1] = [(7, Refusal::LineTooLong)];

    /// The lines of the list after a run that refused one line, or none.
    fn run(path: &Path, goes_on: bool, refused: &[(u64, Refusal)]) -> Option<usize> {
        let mut refusals = Refusals::listed(path.to_owned(), goes_on);
        refusals.tell(refused);
        assert!(refusals.are_listed());
        path.exists().then(|| fs::read_to_string(path).unwrap().lines().count())
    }

    #[test]
    fn the_list_is_there_once_there_is_something_to_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leak.csv.refused.ndjson");
        assert_eq!(run(&path, false, &[]), None);
        assert_eq!(run(&path, false, &REFUSED), Some(1));
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
        assert_eq!(run(&path, false, &REFUSED), Some(1));
        assert_eq!(run(&path, true, &REFUSED), Some(2));
        assert_eq!(run(&path, false, &REFUSED), Some(1));
        assert_eq!(run(&path, false, &[]), None);
    }

    #[test]
    fn without_a_list_every_line_is_logged() {
        let mut refusals = Refusals::listed("/nowhere/leak.csv.refused.ndjson".into(), false);
        refusals.tell(&REFUSED);
        assert!(!refusals.are_listed());
        assert!(refusals.log > LOGGED);
    }
}
