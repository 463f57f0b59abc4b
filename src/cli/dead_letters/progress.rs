//! How far an action is: a bar on a terminal, otherwise a plain line every few seconds. Both go to
//! standard error, as results go to standard output.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// The time between two plain lines.
const EVERY: Duration = Duration::from_secs(2);

/// The bar: what is done, how far, how long still.
const TEMPLATE: &str = "{msg} {wide_bar} {pos} of {len}, {eta} left";

/// The progress of one action.
#[derive(Debug)]
pub struct Progress {
    doing: &'static str,
    total: u64,
    done: u64,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines { next: Instant },
}

impl Progress {
    /// Begins: `doing` says what, as in "replaying".
    #[must_use]
    pub fn new(doing: &'static str, total: u64) -> Self {
        let mut bar = ProgressBar::new(total).with_message(doing);
        // The template is fixed; one that is wrong leaves the bar as it comes.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar = bar.with_style(style);
        }
        let shown = if bar.is_hidden() {
            Shown::Lines { next: Instant::now() + EVERY }
        } else {
            bar.tick();
            Shown::Bar(bar)
        };
        Self { doing, total, done: 0, shown }
    }

    /// So many more are done.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        match &mut self.shown {
            Shown::Bar(bar) => bar.set_position(self.done),
            Shown::Lines { next } => {
                let now = Instant::now();
                if now >= *next {
                    *next = now + EVERY;
                    let line = line(self.doing, self.done, self.total);
                    // Whoever closed standard error goes without.
                    drop(writeln!(io::stderr(), "{line}"));
                }
            }
        }
    }
}

impl Drop for Progress {
    /// The bar makes room for the result.
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn line(doing: &str, done: u64, total: u64) -> String {
    format!("{doing}: {done} of {total}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_says_what_is_done_and_how_far() {
        assert_eq!(line("replaying", 3, 10), "replaying: 3 of 10");
    }

    #[test]
    fn the_template_of_the_bar_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
