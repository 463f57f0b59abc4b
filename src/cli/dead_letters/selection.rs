//! The first look of an action that changes the queue: what it is about is fixed before it begins.

use super::{
    Tools,
    counts::Counts,
    failure::Failure,
    frozen::Frozen,
    reading::{self, Seen},
};
use crate::{broker::MessageIdentity, domain::StoredLetter};

/// What an action is about.
#[derive(Debug)]
pub struct Selection {
    /// What the look saw.
    pub seen: Seen,
    /// The letters that were chosen.
    pub letters: Frozen<MessageIdentity>,
    /// How many of each reason.
    pub counts: Counts,
}

/// Looks at every letter and chooses, the oldest first, `limit` at most. The letters stay where they
/// are.
///
/// # Errors
///
/// [`Failure`] if the look failed.
pub async fn select(
    tools: &mut Tools,
    limit: Option<u64>,
    mut choose: impl FnMut(&StoredLetter) -> bool,
) -> Result<Selection, Failure> {
    let mut letters = Vec::new();
    let mut counts = Counts::default();
    let seen = reading::read(&mut tools.queue, &tools.stop, |held| {
        let letter = held.letter();
        if limit.is_none_or(|limit| counts.total() < limit) && choose(&letter) {
            letters.push(held.identity());
            counts.add(letter.reason);
        }
        Ok(())
    })
    .await?;
    Ok(Selection { seen, letters: Frozen::of(letters), counts })
}
