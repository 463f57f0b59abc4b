//! Reads every dead letter once, and shows the progress. All messages stay in the queue.

use std::{
    fmt::Write as _,
    pin::{Pin, pin},
    time::Duration,
};

use ratatui::{crossterm::event::KeyCode, widgets::Paragraph};
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{CommandContext, reasons::several};
use crate::{
    broker::{BrowseProgress, BrowseStep, BrowseSummary, BrowsedMessage},
    cli::{
        exit::Failure,
        progress::ProgressDisplay,
        screen::{Screen, ScreenEvent},
    },
};

/// The time between two frames of a screen.
const REDRAW: Duration = Duration::from_millis(200);

const TEMPLATE: &str = "{msg} {wide_bar} {pos} of {len}, {eta} left";

/// Where a command shows its progress.
pub(super) enum Display {
    /// On standard error.
    Bar,
    /// In a terminal that the command draws on. Esc cancels the work, and so does what ends the command.
    Screen(Box<Screen>),
}

/// Awaits `work` and shows its progress on `display` meanwhile. A key may cancel `stop`.
pub(super) async fn show_on<T>(
    display: &mut Display,
    stop: &CancellationToken,
    doing: &'static str,
    progress: &BrowseProgress,
    work: impl Future<Output = T>,
) -> T {
    // Pinned once: otherwise the future contains it twice.
    let work = pin!(work);
    match display {
        Display::Bar => show_while(doing, progress, work).await,
        Display::Screen(screen) => show_on_screen(screen, stop, doing, progress, work).await,
    }
}

/// Awaits `work` and shows its progress meanwhile. `doing` names the work: "replaying".
pub(in crate::cli) async fn show_while<T>(
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

async fn show_on_screen<T>(
    screen: &mut Screen,
    stop: &CancellationToken,
    doing: &'static str,
    progress: &BrowseProgress,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> T {
    loop {
        let line = line(doing, progress.done.get(), progress.total.get(), progress.step.get());
        let words = format!("{line}\n\nEsc interrupts.");
        // The work goes on where a terminal fails: its next use tells.
        let _ = screen.draw(|frame| frame.render_widget(Paragraph::new(words), frame.area()));
        tokio::select! {
            biased;
            done = &mut work => return done,
            event = screen.event() => {
                if matches!(event, ScreenEvent::Stop | ScreenEvent::Key(KeyCode::Esc)) {
                    stop.cancel();
                }
            }
            () = sleep(REDRAW) => {}
        }
    }
}

/// The text of a step; `None` if it has none.
fn text(step: BrowseStep) -> Option<String> {
    match step {
        BrowseStep::Working => None,
        BrowseStep::Reading { seen, expected } => {
            Some(format!("{seen} of {expected} dead letters read"))
        }
        BrowseStep::Returning => Some("returning the messages".to_owned()),
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
    let CommandContext { queue, display, stop, .. } = context;
    let reading = queue.read_all(&progress, each);
    let reading = show_on(display, stop, "reading", &progress, reading);
    unless_stopped(stop, reading).await
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
