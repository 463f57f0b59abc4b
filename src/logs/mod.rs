//! Log lines on standard error: what passes, how it looks, and that it never holds up the work.

mod filter;
mod panics;
mod terminal;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    env,
    io::{self, IsTerminal as _},
    str::FromStr,
};

use thiserror::Error;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

pub use panics::install_panic_hook;
pub use terminal::{Aside, step_aside};
pub use writer::Guard;

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    /// One line of text for each event.
    Text,
    /// One flat JSON object for each event: `timestamp`, `level`, `target`, `message` and its fields.
    Json,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat),
        }
    }
}

/// No format has that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected auto, text or json")]
pub struct UnknownFormat;

/// The logs cannot be set up.
#[derive(Debug, Error)]
pub enum InitError {
    /// The thread that writes them cannot be started.
    #[error("the thread that writes the logs cannot be started")]
    Thread(#[source] io::Error),
    /// Something else in the process has set up logs already.
    #[error("logs are set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends the process's log lines to standard error, ours up to `level`, and others' up to info,
/// silenced ones excepted. The lines are written for as long as the guard lives; dropped, it waits a moment
/// for those that are still on their way.
///
/// # Errors
///
/// [`InitError`] if the writing thread cannot be started, or at the second call.
pub fn init(level: LevelFilter, format: Format) -> Result<Guard, InitError> {
    let stderr = io::stderr();
    let terminal = stderr.is_terminal();
    // https://no-color.org: set and not empty.
    let colours = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let look = match format {
        Format::Auto if !terminal => Look::Json,
        Format::Json => Look::Json,
        Format::Auto | Format::Text => Look::Text { colours },
    };
    let report_loss = |lines| tracing::warn!(lines, "log lines were lost: nobody was reading them");
    let (writer, guard) =
        writer::start(terminal::Beside(stderr), report_loss).map_err(InitError::Thread)?;
    subscriber(level, look, move || writer.clone()).try_init().map_err(InitError::Twice)?;
    Ok(guard)
}

/// The form of the lines, decided.
#[derive(Debug, Clone, Copy)]
enum Look {
    Text { colours: bool },
    Json,
}

fn subscriber<W>(level: LevelFilter, look: Look, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The layer's own complaints would go straight to standard error, quote the event and block.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(writer);
    let lines = match look {
        Look::Text { colours } => lines.with_ansi(colours).boxed(),
        Look::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    Box::new(tracing_subscriber::registry().with(filter::at(level)).with(lines))
}
