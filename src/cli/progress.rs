//! The progress of a command: a bar on a terminal, otherwise a line on standard error every few seconds.

use std::{
    convert::Infallible,
    io::{self, IsTerminal as _, Write as _},
    sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use crate::{input, logs};

/// The time between two updates of the bar.
const REDRAW: Duration = Duration::from_millis(200);

/// The time between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(2);

/// The longest wait for an update when the display ends. An update takes longer only if the terminal is not read.
const LAST_UPDATE: Duration = Duration::from_millis(100);

/// The bar of a file of known length, and the spinner of a pipe.
const FILE_BAR: &str = "[{wide_bar}] {percent:>3} % {msg}, {eta} left";
const SPINNER: &str = "{spinner} {msg}";

/// A bar on a terminal, otherwise plain lines on standard error. The bar vanishes when this is dropped.
#[derive(Debug)]
pub(super) struct ProgressDisplay {
    /// `None` if standard error is no terminal.
    bar: Option<(ProgressBar, logs::TerminalShare)>,
    /// When the next update is due.
    pub(super) next: Instant,
    /// Is closed by the end of the latest update.
    update: Option<Receiver<()>>,
}

impl ProgressDisplay {
    /// Draws a bar in the form of `template` for work of size `total`, or a spinner if that is unknown.
    pub(super) fn new(template: &str, total: Option<u64>) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let under = bar.clone();
            (bar, logs::share_terminal(move |write| under.suspend(write)))
        });
        // The bar is drawn at once, a line comes only from a command that takes longer.
        let next = Instant::now() + if bar.is_some() { Duration::ZERO } else { BETWEEN_LINES };
        Self { bar, next, update: None }
    }

    /// Shows `position` of `total` and `message` on the bar, or writes `line`.
    ///
    /// Another thread draws, because an unread terminal blocks the thread, and the command must still obey signals.
    /// While an update is under way, further ones are skipped.
    pub(super) fn show(
        &mut self,
        position: u64,
        total: Option<u64>,
        message: String,
        line: String,
    ) {
        self.next = Instant::now() + if self.bar.is_some() { REDRAW } else { BETWEEN_LINES };
        if self.is_drawing() {
            return;
        }
        let bar = self.bar.as_ref().map(|(bar, _)| bar.clone());
        let (ended, update) = sync_channel(0);
        self.update = Some(update);
        spawn_blocking(move || {
            if let Some(bar) = bar {
                bar.set_message(message);
                if let Some(total) = total {
                    bar.set_length(total);
                }
                bar.set_position(position);
            } else {
                // A closed standard error is no failure.
                drop(writeln!(io::stderr(), "{line}"));
            }
            drop(ended);
        });
    }

    fn is_drawing(&self) -> bool {
        self.update.as_ref().is_some_and(|update| update.try_recv() == Err(TryRecvError::Empty))
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        // A later update would overwrite the command's next output.
        let last = self.update.as_ref().map(|update| update.recv_timeout(LAST_UPDATE));
        if let Some((bar, _)) = &self.bar
            && last != Some(Err(RecvTimeoutError::Timeout))
        {
            bar.finish_and_clear();
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCounts {
    /// The number of lines that count for the rate.
    pub done: u64,
    pub counts: String,
    /// Further counts, for the plain line only.
    pub detail: String,
    /// The bytes of the file whose lines have ended. `None` for the bytes that are read.
    pub position: Option<u64>,
}

/// Shows `counts` of a command that reads `file` again and again, until it is dropped. A plain line begins with `command`.
pub async fn show_file(
    command: &str,
    file: &input::ReadProgress,
    counts: impl Fn() -> FileCounts,
) -> Infallible {
    let total = file.total;
    let template = if total.is_some() { FILE_BAR } else { SPINNER };
    let mut display = ProgressDisplay::new(template, total);
    let began = Instant::now();
    loop {
        sleep_until(display.next).await;
        let FileCounts { done, counts, detail, position } = counts();
        let position = position.unwrap_or_else(|| file.read());
        let rate = per_second(done, began.elapsed());
        let percent = total.filter(|total| *total > 0).map(|total| position * 100 / total);
        let percent = percent.map_or_else(String::new, |percent| format!("{percent} %, "));
        let line = format!("{command}: {percent}{counts}, {rate}/s; {detail}");
        display.show(position, total, format!("{counts}, {rate}/s"), line);
    }
}

/// Returns the rate, rounded down. The first second counts as a whole.
fn per_second(done: u64, elapsed: Duration) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate for people, and never negative"
    )]
    let rate = (done as f64 / elapsed.as_secs_f64().max(1.0)) as u64;
    rate
}
