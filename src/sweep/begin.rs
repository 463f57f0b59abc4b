//! From a file and its journal to a source of jobs.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use super::{
    identity::identify,
    journal::{self, Header, InputId, Journal, Opened, Writer},
    reader::Rereadable,
    scan::Scan,
    source::{Control, FileSource, Parts},
    tally::{Counts, Tally},
};
use crate::input::{self, Delimiter, Feed, Lines, Options};

/// The name that means standard input.
pub const STDIN: &str = "-";

/// What is swept, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file, or [`STDIN`].
    pub input: PathBuf,
    /// Its journal; a sweep cannot begin without one.
    pub journal: Option<PathBuf>,
    /// How its lines are read.
    pub options: Options,
    /// The URL that is called.
    pub endpoint: String,
    /// Whether to go on with a journal that was begun with another input.
    pub force: bool,
    /// Whether lines that failed are taken up again.
    pub retry_failed: bool,
    /// Jobs in flight at most.
    pub capacity: usize,
}

/// A sweep that can begin.
pub struct Begun {
    /// The jobs.
    pub source: FileSource,
    /// The way to command the source.
    pub control: Control,
    /// The writer of the journal, which has to run.
    pub writer: Writer,
    /// The way to it.
    pub journal: Journal,
    /// What is counted.
    pub tally: Arc<Tally>,
    /// How far the input is read.
    pub progress: input::Progress,
    /// Lines up to this one may have been called before this run.
    pub started_before: u64,
    /// Whether the journal was there before.
    pub resumed: bool,
}

/// Why a sweep cannot begin.
#[derive(Debug, Error)]
pub enum BeginError {
    /// The input cannot be opened.
    #[error("{}", input.display())]
    Input {
        /// Which.
        input: PathBuf,
        /// Why.
        source: input::OpenError,
    },
    /// The input cannot be read.
    #[error("{} cannot be read", input.display())]
    Identify {
        /// Which.
        input: PathBuf,
        /// The system's fault.
        source: io::Error,
    },
    /// There is no name to call the journal after.
    #[error(
        "standard input and pipes have no journal of their own: say where it is to be, with --journal"
    )]
    NoJournal,
    /// There can be no more threads.
    #[error("the thread that reads the input cannot be started")]
    Thread(#[source] io::Error),
    /// The journal cannot be gone on with.
    #[error("the journal {}", journal.display())]
    Journal {
        /// Which.
        journal: PathBuf,
        /// Why.
        source: journal::OpenError,
    },
}

impl BeginError {
    /// Whether it can be mended on the command line.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Input { .. } | Self::Identify { .. } | Self::NoJournal => true,
            Self::Thread(_) => false,
            Self::Journal { source, .. } => source.is_usage(),
        }
    }

    pub(super) fn journal(journal: &Path, source: journal::OpenError) -> Self {
        Self::Journal { journal: journal.to_owned(), source }
    }
}

/// Opens input and journal. Reads all of both, and blocks for as long as that takes.
///
/// # Errors
///
/// [`BeginError`]. Nothing was called then, and the journal says nothing that it did not say before.
pub fn begin(settings: &Settings) -> Result<Begun, BeginError> {
    let Some(journal) = settings.journal.as_deref() else {
        // What cannot be read is told first: a name that leads nowhere is no pipe.
        input::check_path(&settings.input).map_err(|source| input_fault(settings, source))?;
        return Err(BeginError::NoJournal);
    };
    let lines = open_input(settings)?;
    let (header, file) = header(settings)?;
    let has_lone_returns = || input::has_lone_returns(&settings.input);
    let sweep = journal::Sweep {
        header: &header,
        force: settings.force,
        has_lone_returns: &has_lone_returns,
    };
    let Opened { file: journal_file, length, past, resumed } =
        journal::open(journal, &sweep).map_err(|source| BeginError::journal(journal, source))?;
    let (writer, journal) = Writer::new(journal_file, length);
    let tally = Arc::new(Tally::new(Counts::of(past.fates())));
    let started_before = past.started();
    let progress = lines.progress();
    let (source, control) = FileSource::new(Parts {
        lines: Feed::start(lines).map_err(BeginError::Thread)?,
        scan: Scan::new(Arc::new(past), Arc::clone(&tally), settings.retry_failed),
        file,
        journal: journal.clone(),
        tally: Arc::clone(&tally),
        capacity: settings.capacity,
    });
    Ok(Begun { source, control, writer, journal, tally, progress, started_before, resumed })
}

pub(super) fn open_input(settings: &Settings) -> Result<Lines, BeginError> {
    input::open(&settings.input, &settings.options).map_err(|source| input_fault(settings, source))
}

fn input_fault(settings: &Settings, source: input::OpenError) -> BeginError {
    BeginError::Input { input: settings.input.clone(), source }
}

/// What the journal begins with, and how the input is read again.
pub(super) fn header(settings: &Settings) -> Result<(Header, Option<Rereadable>), BeginError> {
    let (id, file) = know_again(settings)?;
    Ok((Header::new(id, settings.endpoint.clone(), meaning(settings)), file))
}

/// What the input is known again by, and how it is read again. Neither is there for a pipe.
fn know_again(settings: &Settings) -> Result<(Option<InputId>, Option<Rereadable>), BeginError> {
    let path = &settings.input;
    if !is_file(path) {
        return Ok((None, None));
    }
    let (id, stamp) =
        identify(path).map_err(|source| BeginError::Identify { input: path.clone(), source })?;
    let options = Arc::new(settings.options.clone());
    Ok((Some(id), Some(Rereadable { path: path.clone(), options, stamp })))
}

/// Whether an input can be read more than once.
#[must_use]
pub fn is_file(input: &Path) -> bool {
    input != Path::new(STDIN) && input.is_file()
}

/// The settings that decide which jobs the lines are.
fn meaning(settings: &Settings) -> BTreeMap<String, String> {
    let Options { columns, delimiter, fills, defaults, .. } = &settings.options;
    let format = settings.options.format_of(&settings.input);
    let delimiter = delimiter.filter(|delimiter| *delimiter != Delimiter::default());
    let audience = fills.audience.clone().or_else(|| Some(defaults.audience.to_string()));
    let client_id =
        fills.client_id.clone().or_else(|| defaults.client_id.as_deref().map(str::to_owned));
    let settings = [
        ("format", format.map(|format| format.to_string())),
        ("columns", columns.meaning()),
        ("delimiter", delimiter.map(|delimiter| delimiter.to_string())),
        ("audience", audience),
        ("client_id", client_id),
        ("username", fills.username.clone()),
        ("expires_at", fills.expires_at.clone()),
    ];
    settings.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
