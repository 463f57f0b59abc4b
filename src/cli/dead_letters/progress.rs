//! How far an action is: a bar on a terminal, otherwise a plain line every few seconds. Both go to
//! standard error, as results go to standard output.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, timeout_at};

/// The time between two plain lines.
const EVERY: Duration = Duration::from_secs(2);

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// The bar: what is done, how far, how long still.
const TEMPLATE: &str = "{msg} {wide_bar} {pos} of {len}, {eta} left";

/// The progress of one action.
#[derive(Debug)]
pub struct Progress {
    doing: &'static str,
    total: u64,
    done: u64,
    /// What is under way besides: nothing of it may be done for a while.
    besides: String,
    /// `None` where standard error is no terminal.
    bar: Option<ProgressBar>,
    /// When it is shown again.
    next: Instant,
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
        bar.tick();
        let bar = (!bar.is_hidden()).then_some(bar);
        let next = Instant::now() + period(bar.as_ref());
        Self { doing, total, done: 0, besides: String::new(), bar, next }
    }

    /// So many more are done.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        self.show_if_due();
    }

    /// There are so many, as it turns out.
    pub const fn set_total(&mut self, total: u64) {
        self.total = total;
    }

    /// The queue is read besides, and this is how far.
    pub fn read(&mut self, seen: u32, expected: u32) {
        if Instant::now() >= self.next {
            self.besides = format!("{seen} of {expected} letters read");
            self.show_if_due();
        }
    }

    /// The queue is read.
    pub fn has_read(&mut self) {
        self.besides.clear();
    }

    /// Awaits the end of a look: with many letters the broker takes a while.
    pub async fn giving_back(&mut self, closing: impl Future<Output = ()>) {
        "giving the letters back".clone_into(&mut self.besides);
        let mut closing = std::pin::pin!(closing);
        while timeout_at(self.next, &mut closing).await.is_err() {
            self.show_if_due();
        }
        self.besides.clear();
    }

    /// Asked for each letter, so it is cheap in most cases.
    fn show_if_due(&mut self) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + period(self.bar.as_ref());
        if let Some(bar) = &self.bar {
            bar.set_length(self.total);
            bar.set_position(self.done);
            bar.set_message(message(self.doing, &self.besides));
        } else {
            let line = line(self.doing, self.done, self.total, &self.besides);
            // Whoever closed standard error goes without.
            drop(writeln!(io::stderr(), "{line}"));
        }
    }
}

/// The time between two times that it is shown.
const fn period(bar: Option<&ProgressBar>) -> Duration {
    if bar.is_some() { REDRAW } else { EVERY }
}

impl Drop for Progress {
    /// The bar makes room for the result.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn message(doing: &str, besides: &str) -> String {
    if besides.is_empty() { doing.to_owned() } else { format!("{doing} ({besides})") }
}

fn line(doing: &str, done: u64, total: u64, besides: &str) -> String {
    let mut line = format!("{doing}: {done} of {total}");
    if !besides.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(line, ", {besides}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_says_what_is_done_and_how_far() {
        assert_eq!(line("replaying", 3, 10, ""), "replaying: 3 of 10");
        let reading = "20 of 30 letters read";
        assert_eq!(line("replaying", 3, 10, reading), "replaying: 3 of 10, 20 of 30 letters read");
        assert_eq!(message("replaying", reading), "replaying (20 of 30 letters read)");
    }

    #[test]
    fn the_template_of_the_bar_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
