//! How far a command is: a bar on a terminal, else a line every few seconds.

use std::{
    convert::Infallible,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{input, logs};

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(200);

/// How often a line is written where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(2);

/// The bar of a file, whose length is known, and what stands for one of a pipe.
const BAR: &str = "[{wide_bar}] {percent:>3} % {msg}, {eta} left";
const SPINNER: &str = "{spinner} {msg}";

/// What a command says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What is done, for the rate.
    pub done: u64,
    /// All counts, in words.
    pub counts: String,
    /// What only a line of its own has room for.
    pub detail: String,
    /// How far into the file everything is dealt with, in its bytes; `None` where what was read of it is
    /// as good.
    pub position: Option<u64>,
}

/// Shows how far a command is.
#[derive(Debug)]
pub struct Progress {
    name: &'static str,
    file: input::Progress,
    /// `None` where standard error is no terminal.
    bar: Option<(ProgressBar, logs::Aside)>,
}

impl Progress {
    /// Of a command of that name, which reads `file`.
    pub fn new(name: &'static str, file: input::Progress) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = file.total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = if file.total.is_some() { BAR } else { SPINNER };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let under = bar.clone();
            (bar, logs::step_aside(move |write| under.suspend(write)))
        });
        Self { name, file, bar }
    }

    /// Shows what `state` says, again and again. Dropped, the bar vanishes: the end is told elsewhere.
    pub async fn show(&self, state: impl Fn() -> State) -> Infallible {
        let period = if self.bar.is_some() { REDRAW } else { BETWEEN_LINES };
        let began = Instant::now();
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // The first tick comes at once.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let State { done, counts, detail, position } = state();
            let position = position.unwrap_or_else(|| self.file.read());
            let rate = per_second(done, began.elapsed());
            if let Some((bar, _)) = &self.bar {
                bar.set_position(position);
                bar.set_message(format!("{counts}, {rate}/s"));
            } else {
                let percent =
                    self.percent(position).map_or_else(String::new, |p| format!("{p} %, "));
                let line = format!("{}: {percent}{counts}, {rate}/s; {detail}\n", self.name);
                // Whoever closed standard error has no use for it.
                drop(io::stderr().write_all(line.as_bytes()));
            }
        }
    }

    fn percent(&self, position: u64) -> Option<u64> {
        let total = self.file.total.filter(|total| *total > 0)?;
        Some(position * 100 / total)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((bar, _)) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Rounded down; everything within the first second counts as its rate.
fn per_second(done: u64, elapsed: Duration) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate to look at, and never negative"
    )]
    let rate = (done as f64 / elapsed.as_secs_f64().max(1.0)) as u64;
    rate
}
