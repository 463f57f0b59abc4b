//! Reads every dead letter once, and shows the progress. All messages stay in the queue.

use std::{fmt::Write as _, pin::pin};

use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::{CommandContext, reasons::several};
use crate::{
    broker::{BrowseProgress, BrowseStep, BrowseSummary, BrowsedMessage},
    cli::{exit::Failure, progress::ProgressDisplay},
};

const TEMPLATE: &str = "{msg} {wide_bar} {pos} of {len}, {eta} left";

/// Awaits `work` and shows its progress meanwhile. `doing` names the work: "replaying".
pub(super) async fn show_while<T>(
    doing: &'static str,
    progress: &BrowseProgress,
    work: impl Future<Output = T>,
) -> T {
    let mut display = ProgressDisplay::new(TEMPLATE, Some(0));
    let mut work = pin!(work);
    loop {
        if let Ok(done) = timeout_at(display.next, &mut work).await {
            return done;
        }
        let (done, total, step) = (progress.done.get(), progress.total.get(), progress.step.get());
        let line = line(doing, done, total, step);
        display.show(done, Some(total), message(doing, step), line);
    }
}

/// The text of a step; `None` if it has none.
fn text(step: BrowseStep) -> Option<String> {
    match step {
        BrowseStep::Working => None,
        BrowseStep::Reading { seen, expected } => {
            Some(format!("{seen} of {expected} dead letters read"))
        }
        BrowseStep::Returning => Some("returning the dead letters".to_owned()),
    }
}

fn message(doing: &str, step: BrowseStep) -> String {
    text(step).map_or_else(|| doing.to_owned(), |step| format!("{doing} ({step})"))
}

fn line(doing: &str, done: u64, total: u64, step: BrowseStep) -> String {
    let step = text(step).map_or_else(String::new, |step| format!(", {step}"));
    format!("{doing}: {done} of {total}{step}")
}

/// Passes every dead letter to `each`, in queue order, and shows the progress.
pub(super) async fn read_all(
    context: &mut CommandContext,
    each: impl AsyncFnMut(&BrowsedMessage) -> Result<(), Failure>,
) -> Result<BrowseSummary, Failure> {
    let progress = BrowseProgress::default();
    let reading = show_while("reading", &progress, context.queue.read_all(&progress, each));
    unless_stopped(&context.stop, reading).await
}

/// Awaits `reading`, or returns a failure at the first signal.
pub(super) async fn unless_stopped<T>(
    stop: &CancellationToken,
    reading: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Failure::new("interrupted: no dead letter was moved")),
        read = reading => read,
    }
}

/// A line for each kind of message that the browse did not see; empty if it saw all.
pub(super) fn notes(browse: BrowseSummary) -> String {
    let mut notes = String::new();
    // Writing to a string cannot fail.
    if browse.held_by_others > 0 {
        let held = several(browse.held_by_others.into(), "dead letter");
        let _ = writeln!(notes, "{held} held by another consumer");
    }
    if browse.other_consumers > 0 {
        let _ = writeln!(
            notes,
            "{} of the queue, such as a second `revoker dead-letters`: the messages that it holds are not counted \
             here",
            several(browse.other_consumers.into(), "other consumer")
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browse_that_missed_messages_says_so() {
        let seen = |held_by_others, other_consumers| {
            notes(BrowseSummary { looked_at: 7, held_by_others, other_consumers })
        };
        assert_eq!(seen(0, 0), "");
        assert_eq!(seen(3, 0), "3 dead letters held by another consumer\n");
        assert!(seen(0, 1).starts_with("1 other consumer of the queue, "));
        assert_eq!(seen(3, 1).lines().count(), 2);
    }

    #[test]
    fn a_plain_line_shows_the_work_and_its_progress() {
        assert_eq!(line("replaying", 3, 10, BrowseStep::Working), "replaying: 3 of 10");
        let reading = BrowseStep::Reading { seen: 20, expected: 30 };
        assert_eq!(
            line("replaying", 3, 10, reading),
            "replaying: 3 of 10, 20 of 30 dead letters read"
        );
        assert_eq!(message("replaying", reading), "replaying (20 of 30 dead letters read)");
    }

    #[test]
    fn the_template_of_the_bar_is_valid() {
        assert!(indicatif::ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
