//! Reading every letter of the queue once, and leaving all of them there.

use std::fmt::Write as _;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{counts::several, failure::Failure, progress::Progress};
use crate::broker::{Browse, BrowseMode, BrowsedMessage, DeadLetterQueue};

/// What a look at the whole queue came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Letters that were read.
    pub looked_at: u32,
    /// Letters that waited in the queue when the look began, and went to somebody else.
    pub held_by_others: u32,
    /// Consumers of the queue besides the look. What they held before is not counted anywhere.
    pub other_consumers: u32,
}

impl Seen {
    /// What makes the look less than whole, a line for each; nothing if it was whole.
    #[must_use]
    pub fn notes(self) -> String {
        let mut notes = String::new();
        // Writing to a string cannot fail.
        if self.held_by_others > 0 {
            let held = several(self.held_by_others.into(), "letter");
            let _ = writeln!(notes, "{held} held by another consumer");
        }
        if self.other_consumers > 0 {
            let _ = writeln!(
                notes,
                "{} of the queue, such as a second `revoker dead-letters`: what it holds is not seen here \
                 until it is done",
                several(self.other_consumers.into(), "other consumer")
            );
        }
        notes
    }
}

/// A look at every letter, with its progress shown.
#[derive(Debug)]
pub struct Reading<'a> {
    look: Browse<'a>,
    progress: Progress,
}

impl<'a> Reading<'a> {
    /// Begins.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn begin(queue: &'a mut DeadLetterQueue) -> Result<Self, Failure> {
        let look = queue.browse(BrowseMode::ReadOnly).await?;
        let progress = Progress::new("looking", look.expected().into());
        Ok(Self { look, progress })
    }

    /// The next letter, in the order of the queue.
    ///
    /// # Errors
    ///
    /// [`Failure`]; the letters are back in the queue all the same.
    pub async fn next(&mut self) -> Result<Option<BrowsedMessage>, Failure> {
        let next = self.look.next().await?;
        if next.is_some() {
            self.progress.set_total(self.look.expected().into());
            self.progress.add(1);
        }
        Ok(next)
    }

    /// Ends it, and says what it came to.
    pub async fn end(mut self) -> Seen {
        let seen = Seen {
            looked_at: self.look.seen(),
            held_by_others: self.look.missed(),
            other_consumers: self.look.others(),
        };
        self.progress.giving_back(self.look.close()).await;
        seen
    }
}

/// Shows every letter to `each`, in the order of the queue.
///
/// # Errors
///
/// [`Failure`]; the letters are back in the queue all the same.
pub async fn read(
    queue: &mut DeadLetterQueue,
    stop: &CancellationToken,
    mut each: impl FnMut(&BrowsedMessage) -> Result<(), Failure>,
) -> Result<Seen, Failure> {
    unless_stopped(stop, async {
        let mut reading = Reading::begin(queue).await?;
        while let Some(held) = reading.next().await? {
            each(&held)?;
        }
        Ok(reading.end().await)
    })
    .await
}

/// What comes of `reading`, unless a signal comes first.
///
/// # Errors
///
/// Its own, and [`Failure::Interrupted`].
pub async fn unless_stopped<T>(
    stop: &CancellationToken,
    reading: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Failure::Interrupted("every letter is where it was")),
        read = reading => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_was_not_whole_says_so() {
        let seen = |held_by_others, other_consumers| {
            Seen { looked_at: 7, held_by_others, other_consumers }.notes()
        };
        assert_eq!(seen(0, 0), "");
        assert_eq!(seen(3, 0), "3 letters held by another consumer\n");
        assert!(seen(0, 1).starts_with("1 other consumer of the queue, "));
        assert_eq!(seen(3, 1).lines().count(), 2);
    }
}
