//! Log lines on standard error: the filter, the format, and a writer that never blocks the work.

mod filter;
mod panics;
mod terminal;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    env,
    io::{self, IsTerminal as _},
};

use thiserror::Error;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::LogFormat;
pub use panics::install_panic_hook;
pub use terminal::{TerminalShare, share_terminal};
pub use writer::LogGuard;

/// The logs cannot be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// The writing thread cannot be started.
    #[error("the thread that writes the logs cannot be started")]
    Thread(#[source] io::Error),
    /// The logs of this process are set up already.
    #[error("logs are set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends log lines to standard error: ours up to `level`, and those of other crates up to info, except for
/// silenced crates. The lines are written until the guard is dropped. Its drop waits a moment for the
/// last lines.
///
/// # Errors
///
/// [`LogError`] if the writing thread cannot be started, or at the second call.
pub fn init(level: LevelFilter, format: LogFormat) -> Result<LogGuard, LogError> {
    let stderr = io::stderr();
    let terminal = stderr.is_terminal();
    // https://no-color.org: set and not empty.
    let colours = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let format = match format {
        LogFormat::Auto if !terminal => LineFormat::Json,
        LogFormat::Json => LineFormat::Json,
        LogFormat::Auto | LogFormat::Text => LineFormat::Text { colours },
    };
    let report_loss = |lines| tracing::warn!(lines, "log lines were lost: nobody was reading them");
    let (writer, guard) =
        writer::start(terminal::SharedTerminal(stderr), report_loss).map_err(LogError::Thread)?;
    subscriber(level, format, move || writer.clone()).try_init().map_err(LogError::Twice)?;
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
    Box::new(tracing_subscriber::registry().with(filter::at(level)).with(lines))
}
