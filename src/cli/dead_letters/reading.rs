//! Reading every dead letter once. All of them stay in the queue.

use std::fmt::Write as _;

use tokio_util::sync::CancellationToken;

use super::{CommandContext, progress::show_while, reasons::several};
use crate::{
    broker::{BrowseProgress, BrowseSummary, BrowsedMessage},
    cli::exit::Failure,
};

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
        let held = several(browse.held_by_others.into(), "letter");
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
        assert_eq!(seen(3, 0), "3 letters held by another consumer\n");
        assert!(seen(0, 1).starts_with("1 other consumer of the queue, "));
        assert_eq!(seen(3, 1).lines().count(), 2);
    }
}
