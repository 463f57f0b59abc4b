//! Opens a file and its journal as a source of jobs.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use super::{
    counters::{SweepCounters, count_lines},
    identity::identify,
    journal::{self, Journal, JournalHeader, JournalWriter, OpenedJournal},
    reader::Rereadable,
    scan::Scan,
    source::{FileSource, SweepControl},
};
use crate::{
    domain::TokenHash,
    input::{self, Delimiter, Feed, InputLines, Options, STDIN},
};

#[derive(Debug, Clone)]
pub struct SweepSettings {
    /// The file, or [`STDIN`].
    pub input: PathBuf,
    /// The path of the journal. Without one, the sweep cannot begin.
    pub journal: Option<PathBuf>,
    pub options: Options,
    pub endpoint: String,
    /// Whether to resume with a journal of another input.
    pub force: bool,
    /// Whether to retry failed lines.
    pub retry_failed: bool,
    /// How the journal names tokens.
    pub token_hash: TokenHash,
    /// The maximum number of jobs in flight.
    pub capacity: usize,
}

/// A sweep that is ready to start.
pub struct OpenedSweep {
    pub source: FileSource,
    pub control: SweepControl,
    /// It must run for the journal to be written.
    pub writer: JournalWriter,
    pub journal: Journal,
    pub counters: Arc<SweepCounters>,
    pub progress: input::ReadProgress,
    /// An earlier run may have called lines up to this one.
    pub started_before: u64,
    /// Whether the journal existed before.
    pub resumed: bool,
}

/// The error of beginning a sweep.
#[derive(Debug, Error)]
pub enum BeginError {
    #[error("{}", input.display())]
    Input { input: PathBuf, source: input::InputOpenError },
    #[error("{} cannot be read", input.display())]
    Identify { input: PathBuf, source: io::Error },
    #[error(
        "standard input and pipes have no journal of their own: say where it is to be, with --journal"
    )]
    NoJournal,
    #[error("the thread that reads the input cannot be started")]
    Thread(#[source] io::Error),
    #[error("the journal {}", journal.display())]
    Journal { journal: PathBuf, source: journal::JournalOpenError },
}

impl BeginError {
    /// Whether another command line can avoid it.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Input { .. } | Self::Identify { .. } | Self::NoJournal => true,
            Self::Thread(_) => false,
            Self::Journal { source, .. } => source.is_usage(),
        }
    }

    pub(super) fn journal(journal: &Path, source: journal::JournalOpenError) -> Self {
        Self::Journal { journal: journal.to_owned(), source }
    }
}

/// Opens input and journal. Reads both completely, and blocks meanwhile.
///
/// After an error, nothing was called, and the journal is as before.
pub fn begin(settings: &SweepSettings) -> Result<OpenedSweep, BeginError> {
    let Some(journal) = settings.journal.as_deref() else {
        // First: a missing file must not be reported as a pipe.
        input::check_path(&settings.input).map_err(|source| input_fault(settings, source))?;
        return Err(BeginError::NoJournal);
    };
    let lines = open_input(settings)?;
    let (header, file) = header(settings)?;
    let has_lone_returns = || input::has_lone_returns(&settings.input);
    let sweep = journal::ResumeCheck {
        header: &header,
        force: settings.force,
        has_lone_returns: &has_lone_returns,
    };
    let OpenedJournal { file: journal_file, length, state, resumed } =
        journal::open(journal, &sweep).map_err(|source| BeginError::journal(journal, source))?;
    let (writer, journal) = JournalWriter::new(journal_file, length);
    let counters = Arc::new(SweepCounters::new(count_lines(state.outcomes())));
    let started_before = state.started();
    let progress = lines.progress();
    let (source, control) = FileSource::new(
        Feed::start(lines).map_err(BeginError::Thread)?,
        Scan::new(
            Arc::new(state),
            Arc::clone(&counters),
            settings.retry_failed,
            settings.token_hash,
        ),
        file,
        journal.clone(),
        Arc::clone(&counters),
        settings.capacity,
    );
    Ok(OpenedSweep {
        source,
        control,
        writer,
        journal,
        counters,
        progress,
        started_before,
        resumed,
    })
}

pub(super) fn open_input(settings: &SweepSettings) -> Result<InputLines, BeginError> {
    input::open(&settings.input, &settings.options).map_err(|source| input_fault(settings, source))
}

fn input_fault(settings: &SweepSettings, source: input::InputOpenError) -> BeginError {
    BeginError::Input { input: settings.input.clone(), source }
}

/// Returns the journal's header, and the input if it can be read again.
pub(super) fn header(
    settings: &SweepSettings,
) -> Result<(JournalHeader, Option<Rereadable>), BeginError> {
    let path = settings.input.clone();
    let header = |id| JournalHeader::new(id, settings.endpoint.clone(), meaning(settings));
    if !is_file(&path) {
        return Ok((header(None), None));
    }
    let known = identify(&path);
    let (id, stamp) =
        known.map_err(|source| BeginError::Identify { input: path.clone(), source })?;
    let options = Arc::new(settings.options.clone());
    Ok((header(Some(id)), Some(Rereadable { path, options, stamp })))
}

/// Whether an input can be read more than once.
pub fn is_file(input: &Path) -> bool {
    input != Path::new(STDIN) && input.is_file()
}

/// Returns the settings that decide which jobs the lines are.
fn meaning(settings: &SweepSettings) -> BTreeMap<String, String> {
    let Options { columns, delimiter, field_defaults, defaults, .. } = &settings.options;
    let format = settings.options.format_of(&settings.input);
    let delimiter = delimiter.filter(|delimiter| *delimiter != Delimiter::default());
    let audience = field_defaults.audience.clone().or_else(|| Some(defaults.audience.to_string()));
    let client_id = field_defaults
        .client_id
        .clone()
        .or_else(|| defaults.client_id.as_deref().map(str::to_owned));
    let settings = [
        ("format", format.map(|format| format.to_string())),
        ("columns", columns.meaning()),
        ("delimiter", delimiter.map(|delimiter| delimiter.to_string())),
        ("audience", audience),
        ("client_id", client_id),
        ("username", field_defaults.username.clone()),
        ("expires_at", field_defaults.expires_at.clone()),
    ];
    settings.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
