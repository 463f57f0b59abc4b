//! The list of refused lines, in a file or in the output, and their log lines: line number and reason, never content.

use std::{
    fmt::Display,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use serde_json::{Value, json};
use tracing::{error, warn};

use crate::{cli::json_list::JsonList, sweep::remove_list};

/// Only the owner may read it: even without tokens it names the files that hold some.
const MODE: u32 = 0o600;

/// The maximum number of refused lines in the log; a file of the wrong kind has millions.
pub const LOGGED: usize = 10;

pub struct RefusedLines<'a> {
    list: Option<RefusedList>,
    /// The list of a dry run.
    printed: Option<&'a mut JsonList>,
    log: usize,
}

impl<'a> RefusedLines<'a> {
    /// Logs the first refused lines, and adds each to the output if there is a list. Writes no file.
    pub fn logged(printed: Option<&'a mut JsonList>) -> Self {
        Self { list: None, printed, log: LOGGED }
    }

    /// Lists refused lines in a file, and logs the first of them.
    ///
    /// A resumed run appends to the list of the earlier run. A run from the first line deletes that list.
    pub fn listed(path: PathBuf, resumes: bool) -> Self {
        let list = RefusedList { path, file: None };
        let outdated = if resumes { Ok(()) } else { remove_list(&list.path) };
        let mut refusals = Self { list: Some(list), printed: None, log: LOGGED };
        if let Err(error) = outdated {
            refusals.give_list_up(&error);
        }
        refusals
    }

    pub fn are_listed(&self) -> bool {
        self.list.is_some()
    }

    pub fn tell(&mut self, refused: &[(u64, impl Display)]) {
        let added = self.list.as_mut().map_or(Ok(()), |list| list.add(refused));
        if let Err(error) = added {
            self.give_list_up(&error);
        }
        for (line, refusal) in refused {
            if let Some(printed) = &mut self.printed {
                printed.add(&item(*line, refusal));
            }
            if self.log > 0 {
                self.log -= 1;
                warn!(line, reason = %refusal, "refused");
            }
        }
    }

    /// Logs all further lines instead: the folder may be read-only, and publishing continues.
    fn give_list_up(&mut self, fault: &io::Error) {
        if let Some(RefusedList { path, .. }) = self.list.take() {
            let path = path.display();
            error!("{path} cannot be written: {fault}; all refused lines from here on are logged");
            self.log = usize::MAX;
        }
    }
}

fn item(line: u64, refusal: &impl Display) -> Value {
    json!({ "line": line, "reason": refusal.to_string() })
}

#[derive(Debug)]
struct RefusedList {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl RefusedList {
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
            writeln!(file, "{}", item(*line, refusal))?;
        }
        // A counted line must be in the list, also after a SIGKILL.
        file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;
    use crate::input::Refusal;

    const REFUSED: [(u64, Refusal); 1] = [(7, Refusal::LineTooLong)];

    /// The lines of the list after a run that refused one line, or none.
    fn run(path: &Path, resumes: bool, refused: &[(u64, Refusal)]) -> Option<usize> {
        let mut refusals = RefusedLines::listed(path.to_owned(), resumes);
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
        let mut refusals = RefusedLines::listed("/nowhere/leak.csv.refused.ndjson".into(), false);
        refusals.tell(&REFUSED);
        assert!(!refusals.are_listed());
        assert!(refusals.log > LOGGED);
    }
}
