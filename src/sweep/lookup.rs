//! Looks tokens up in a journal: what became of each, when, and what proves it. The swept file is not needed.
//!
//! An entry is found by the hash of its token alone, because a responder has no more than tokens. Entries without one
//! (of an earlier version, or of `--token-hash none`) are found by their key, if client, audience and user are known.
//!
//! The tokens are looked up in parts, each with a pass over the journal, so that the memory depends neither on the
//! number of tokens nor on the journal, but for one bit a line where lines were refused. Holding an index of the journal
//! would be faster for many tokens, and would need as much memory as its sweep.

mod fate;
mod index;
mod refused;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use super::journal::{self, JournalHeader, JournalRecord, RecoverError};
use crate::input::{self, InputJob, InputLine, LineKind, Options};

use index::{AskedToken, Index};
use refused::RefusedLines;

pub use fate::Looked;

/// The most tokens of a part.
const PART: usize = if cfg!(test) { 50 } else { 50_000 };

/// The longest token that is looked up, in characters. A profile may allow fewer, which does not matter here.
const LONGEST_TOKEN: usize = 32 * 1024;

#[derive(Debug, Clone)]
pub struct LookupSettings {
    pub journal: PathBuf,
    /// The file with the tokens, or [`STDIN`](input::STDIN).
    pub input: PathBuf,
    /// Its defaults come from the journal where they are not given.
    pub options: Options,
}

/// The counts of a lookup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LookupSummary {
    pub tokens: u64,
    /// Tokens that are proved dead.
    pub proved: u64,
    /// Tokens that ended otherwise.
    pub not_proved: u64,
    /// Tokens that failed, or have not ended. They are among the ones that are not proved.
    pub open: u64,
    pub not_found: u64,
    /// Lines of the journal that were refused. A token that is not found may be on one of them.
    pub refused_lines: u64,
    /// Lines that hold no token.
    pub refused: u64,
    /// Whether every line of the sweep has ended, and of those that the same journal recorded before.
    pub finished: bool,
}

#[derive(Debug, Error)]
pub enum LookupError<E> {
    #[error("the journal {} cannot be opened", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("the journal {}", path.display())]
    Journal { path: PathBuf, source: RecoverError },
    #[error("the journal {} has no complete record, so the sweep called nothing", path.display())]
    Empty { path: PathBuf },
    #[error("{}", path.display())]
    Input { path: PathBuf, source: input::InputOpenError },
    #[error("{}", path.display())]
    Read { path: PathBuf, source: input::ReadError },
    /// The result could not be passed on.
    #[error(transparent)]
    Told(E),
}

impl<E> LookupError<E> {
    /// Whether another command line can avoid it.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Input { .. } => true,
            Self::Journal { source, .. } => {
                matches!(source, RecoverError::Stranger | RecoverError::Version(_))
            }
            Self::Empty { .. } | Self::Read { .. } | Self::Told(_) => false,
        }
    }
}

/// Looks up each token of the input, and passes the result to `tell`, in the order of the input. Reads the journal
/// without a lock, and changes nothing. Blocks meanwhile.
pub fn lookup<E>(
    settings: &LookupSettings,
    mut tell: impl FnMut(&Looked) -> Result<(), E>,
) -> Result<LookupSummary, LookupError<E>> {
    let LookupSettings { journal, input, options } = settings;
    let header = journal::header(open(journal)?);
    let header = header.map_err(|source| broken(journal, source))?;
    let header = header.ok_or_else(|| LookupError::Empty { path: journal.clone() })?;
    let options = completed(options.clone(), &header);
    let lines = input::open(input, &options)
        .map_err(|source| LookupError::Input { path: input.clone(), source })?;
    let mut lines = lines.peekable();
    let mut summary = LookupSummary::default();
    loop {
        let mut part = Vec::new();
        for line in lines.by_ref().take(PART) {
            let line = line.map_err(|source| LookupError::Read { path: input.clone(), source })?;
            part.push(asked(line));
        }
        summary.finished = answer(journal, &part, &mut summary, &mut tell)?;
        if lines.peek().is_none() {
            return Ok(summary);
        }
    }
}

/// Passes the results of a part to `tell`. Returns whether every line of the sweep has ended.
fn answer<E>(
    journal: &Path,
    part: &[AskedToken],
    summary: &mut LookupSummary,
    mut tell: impl FnMut(&Looked) -> Result<(), E>,
) -> Result<bool, LookupError<E>> {
    let mut index = Index::new(part);
    let (mut started, mut finished) = (0, false);
    // Lines of an earlier input that were started and have not ended.
    let mut left_open = false;
    let mut refused = RefusedLines::default();
    journal::walk(open(journal)?, |record| {
        match record {
            JournalRecord::Started(line) => started = line,
            JournalRecord::Header(header) => {
                refused.begin(header.input.as_ref());
                left_open |= started > 0 && !finished;
                (started, finished) = (0, false);
                index.begin_again();
            }
            JournalRecord::Again(lines) => {
                finished = false;
                index.reopen(&lines);
            }
            JournalRecord::Entry(entry) if entry.line > started => return false,
            JournalRecord::Entry(entry) => {
                refused.enter(&entry);
                index.enter(&entry);
            }
            JournalRecord::Finished(_) => finished = true,
            JournalRecord::Synced(_) => {}
        }
        true
    })
    .map_err(|source| broken(journal, source))?;
    summary.refused_lines = refused.count();
    for asked in part {
        let looked = index.looked(asked, summary.refused_lines);
        summary.add(&looked);
        tell(&looked).map_err(LookupError::Told)?;
    }
    Ok(finished && !left_open)
}

impl LookupSummary {
    fn add(&mut self, looked: &Looked) {
        match looked {
            Looked::Refused { .. } => self.refused += 1,
            Looked::NotFound { .. } => {
                self.tokens += 1;
                self.not_found += 1;
            }
            Looked::Found(found) => {
                self.tokens += 1;
                self.proved += u64::from(found.is_proved());
                self.not_proved += u64::from(!found.is_proved());
                self.open += u64::from(!found.is_done());
            }
        }
    }

    /// Whether every token was found, and its line is done.
    pub const fn is_complete(&self) -> bool {
        self.not_found + self.open + self.refused == 0
    }
}

fn open<E>(path: &Path) -> Result<BufReader<File>, LookupError<E>> {
    let file =
        File::open(path).map_err(|source| LookupError::Open { path: path.to_owned(), source })?;
    Ok(BufReader::with_capacity(64 * 1024, file))
}

fn broken<E>(path: &Path, source: RecoverError) -> LookupError<E> {
    LookupError::Journal { path: path.to_owned(), source }
}

/// The options with the values of the sweep for the fields that a bare token lacks.
fn completed(mut options: Options, header: &JournalHeader) -> Options {
    let setting = |name: &str| header.settings.get(name).cloned();
    let fields = &mut options.field_defaults;
    fields.audience = fields.audience.take().or_else(|| setting("audience"));
    fields.client_id = fields.client_id.take().or_else(|| setting("client_id"));
    fields.username = fields.username.take().or_else(|| setting("username"));
    options.defaults.token_max = LONGEST_TOKEN;
    options
}

fn asked(InputLine { number, kind, .. }: InputLine) -> AskedToken {
    match kind {
        LineKind::Job(InputJob { job, .. }) | LineKind::Duplicate(job) => {
            AskedToken::of(number, &job)
        }
        LineKind::Refused(refusal) => AskedToken::refused(number, refusal.to_string()),
    }
}
