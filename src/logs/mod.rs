//! Log lines on standard error: the filter, the format, and a writer that never blocks the work.

mod terminal;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    io::{self, IsTerminal as _},
    panic::{self, PanicHookInfo},
    thread,
};

use anstream::{AutoStream, ColorChoice};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::LogFormat;
pub use terminal::{TerminalShare, share_terminal};
pub use writer::LogGuard;

/// The level of other crates, for any configured level. They print their data, and here this includes live credentials.
/// lapin prints frames with their bodies at trace, amq-protocol the broker's URI, h2 and hyper headers.
const OTHERS: LevelFilter = LevelFilter::INFO;

/// Crates that print payloads or credentials at [`OTHERS`] too, such as lapin returned messages at warn. Each is off as
/// a whole, because a target is the path of a private module, which any release may rename. No error is lost: it
/// reaches us as a value too, and we log it once per change of state.
const SILENCED: [&str; 2] = ["lapin", "amq_protocol"];

/// The reader of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogReader {
    /// The reader of a worker's log: the configured format counts.
    Operator,
    /// The person who gave a command: text on a terminal, whatever format is configured.
    Person,
}

/// Sends log lines to standard error: ours up to `level`, and those of other crates up to info, except for
/// silenced crates. The lines are written until the guard is dropped. Its drop waits a moment for the
/// last lines. Fails if the writing thread cannot be started, or the logs are set up already.
pub fn init(level: LevelFilter, format: LogFormat, reader: LogReader) -> io::Result<LogGuard> {
    let stderr = io::stderr();
    let terminal = stderr.is_terminal();
    // By `--color`, else by NO_COLOR and the terminal.
    let colours = AutoStream::choice(&stderr) != ColorChoice::Never;
    let format = LineFormat::of(format, reader, terminal, colours);
    let report_loss = |lines| tracing::warn!(lines, "log lines were lost: no reader");
    let (writer, guard) = writer::start(terminal::SharedTerminal(stderr), report_loss)?;
    subscriber(level, format, move || writer.clone()).try_init().map_err(io::Error::other)?;
    Ok(guard)
}

/// The format of the lines, after `auto` is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineFormat {
    Text {
        colours: bool,
    },
    /// Text without time and module, for a person who watches a command.
    Brief {
        colours: bool,
    },
    Json,
}

impl LineFormat {
    const fn of(format: LogFormat, reader: LogReader, terminal: bool, colours: bool) -> Self {
        match (reader, format) {
            (LogReader::Person, _) if terminal => Self::Brief { colours },
            (_, LogFormat::Auto) if !terminal => Self::Json,
            (_, LogFormat::Json) => Self::Json,
            (_, LogFormat::Auto | LogFormat::Text) => Self::Text { colours },
        }
    }
}

fn subscriber<W>(
    level: LevelFilter,
    format: LineFormat,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The layer writes its own errors straight to standard error: they quote the event and can block.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(writer);
    let lines = match format {
        LineFormat::Text { colours } => lines.with_ansi(colours).boxed(),
        LineFormat::Brief { colours } => {
            lines.without_time().with_target(false).with_ansi(colours).boxed()
        }
        LineFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    let filter = Targets::new()
        .with_default(level.min(OTHERS))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_targets(SILENCED.map(|target| (target, LevelFilter::OFF)));
    Box::new(tracing_subscriber::registry().with(filter).with(lines))
}

/// Logs panics in place of printing them. The line has the place of the panic and not its message, because the
/// message may quote a value that is a token.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    let thread = thread::current();
    tracing::error!(location, thread = thread.name(), "a panic: a fault of this program");
}
