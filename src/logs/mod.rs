//! Log lines on standard error: the filter, the format, and a writer that never blocks the work.

mod terminal;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    env,
    io::{self, IsTerminal as _},
    panic::{self, PanicHookInfo},
    thread,
};

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

/// Sends log lines to standard error: ours up to `level`, and those of other crates up to info, except for
/// silenced crates. The lines are written until the guard is dropped. Its drop waits a moment for the
/// last lines. Fails if the writing thread cannot be started, or the logs are set up already.
pub fn init(level: LevelFilter, format: LogFormat) -> io::Result<LogGuard> {
    let stderr = io::stderr();
    let terminal = stderr.is_terminal();
    // https://no-color.org: set and not empty.
    let colours = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let format = match format {
        LogFormat::Auto if !terminal => LineFormat::Json,
        LogFormat::Json => LineFormat::Json,
        LogFormat::Auto | LogFormat::Text => LineFormat::Text { colours },
    };
    let report_loss = |lines| tracing::warn!(lines, "log lines were lost: no reader");
    let (writer, guard) = writer::start(terminal::SharedTerminal(stderr), report_loss)?;
    subscriber(level, format, move || writer.clone()).try_init().map_err(io::Error::other)?;
    Ok(guard)
}

/// The format of the lines, after `auto` is decided.
#[derive(Debug, Clone, Copy)]
enum LineFormat {
    Text { colours: bool },
    Json,
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
