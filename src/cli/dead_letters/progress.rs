//! Shows the progress of a command that browses the queue.

use std::pin::pin;

use tokio::time::timeout_at;

use crate::{
    broker::{BrowseProgress, BrowseStep},
    cli::progress::ProgressDisplay,
};

const TEMPLATE: &str = "{msg} {wide_bar} {pos} of {len}, {eta} left";

/// Awaits `work` and shows its progress meanwhile. `doing` says what it does: "replaying".
pub(super) async fn show_while<T>(
    doing: &'static str,
    progress: &BrowseProgress,
    work: impl Future<Output = T>,
) -> T {
    let mut display = ProgressDisplay::new(TEMPLATE, Some(0));
    let mut work = pin!(work);
    loop {
        if let Ok(done) = timeout_at(display.next(), &mut work).await {
            return done;
        }
        let (done, total, step) = (progress.done.get(), progress.total.get(), progress.step.get());
        let line = line(doing, done, total, step);
        display.show(done, Some(total), message(doing, step), line);
    }
}

/// The step, if it has a text.
fn text(step: BrowseStep) -> Option<String> {
    match step {
        BrowseStep::Working => None,
        BrowseStep::Reading { seen, expected } => {
            Some(format!("{seen} of {expected} letters read"))
        }
        BrowseStep::Returning => Some("returning the letters".to_owned()),
    }
}

fn message(doing: &str, step: BrowseStep) -> String {
    text(step).map_or_else(|| doing.to_owned(), |step| format!("{doing} ({step})"))
}

fn line(doing: &str, done: u64, total: u64, step: BrowseStep) -> String {
    let step = text(step).map_or_else(String::new, |step| format!(", {step}"));
    format!("{doing}: {done} of {total}{step}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_says_what_is_done_and_how_far() {
        assert_eq!(line("replaying", 3, 10, BrowseStep::Working), "replaying: 3 of 10");
        let reading = BrowseStep::Reading { seen: 20, expected: 30 };
        assert_eq!(line("replaying", 3, 10, reading), "replaying: 3 of 10, 20 of 30 letters read");
        assert_eq!(message("replaying", reading), "replaying (20 of 30 letters read)");
    }

    #[test]
    fn the_template_of_the_bar_is_valid() {
        assert!(indicatif::ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
