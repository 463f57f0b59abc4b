//! One job of the sweep that is in flight, and its ways out: an entry in the journal, and perhaps a stay.

use std::{fmt, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    journal::{Entry, Fate, Journal, Record},
    scan::Found,
    stays::{Kept, Stay},
    tally::Tally,
};
use crate::{
    domain::{History, Lane, MessageMetadata, Outcome},
    ports::{Clock, Delivery, Settled, SystemClock},
};
use std::sync::Arc;

/// What comes back to the source from each of its deliveries, once.
pub enum Back {
    /// It is settled, or its settlement was broken off: nothing of it comes again in this run.
    Over,
    /// Its job comes again.
    Again(Stay),
}

/// What all deliveries share.
#[derive(Clone)]
pub struct Exits {
    /// Where their endings go.
    pub journal: Journal,
    /// What counts them.
    pub tally: Arc<Tally>,
    /// Where they come from. It has room for each delivery that is in flight.
    pub back: mpsc::Sender<Back>,
    /// Whether bodies have to be kept through a stay, for they cannot be read again.
    pub keep: bool,
}

/// A job of the sweep that is in flight.
pub struct LineDelivery {
    metadata: MessageMetadata,
    found: Found,
    exits: Exits,
    /// The source has not heard of its end yet.
    in_hand: bool,
}

/// The line is all that may be shown.
impl fmt::Debug for LineDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineDelivery").field("line", &self.found.line).finish_non_exhaustive()
    }
}

impl LineDelivery {
    /// A delivery of the job on a line.
    #[must_use]
    pub const fn new(found: Found, exits: Exits) -> Self {
        let metadata = MessageMetadata {
            // A sweep is what the lane is for: nobody waits for a single one.
            lane: Lane::Bulk,
            message_id: None,
            published_at: None,
            redelivered: found.in_doubt,
            trace: None,
            history: found.history,
        };
        Self { metadata, found, exits, in_hand: true }
    }

    /// The stay that a settlement means for the job.
    fn stay(&mut self, outcome: &Outcome, history: History) -> Option<Stay> {
        let delay = match outcome {
            Outcome::Done(_) | Outcome::DeadLettered(_) => return None,
            Outcome::Parked(delay) => *delay,
            // The flow decides when it is wanted.
            Outcome::Requeued => Duration::ZERO,
        };
        let keep = self.exits.keep;
        let body = std::mem::take(&mut self.found.body);
        let kept = keep.then_some(Kept { key: self.found.key, body });
        Some(Stay { line: self.found.line, until: Instant::now() + delay, history, kept })
    }

    fn count(&self, entry: &Entry) {
        let History { attempts, .. } = entry.history;
        let before = self.metadata.history.attempts;
        self.exits.tally.called(attempts.saturating_sub(before), before);
        if let Some(fate) = Fate::of(&entry.what, entry.history.ambiguity) {
            self.exits.tally.ended(fate);
        }
    }

    /// Tells the source, which waits for every delivery.
    fn tell(&mut self, back: Back) {
        self.in_hand = false;
        // If the source is gone, so is the sweep.
        let _ = self.exits.back.try_send(back);
    }
}

impl Delivery for LineDelivery {
    fn metadata(&self) -> &MessageMetadata {
        &self.metadata
    }

    fn body(&self) -> &[u8] {
        &self.found.body
    }

    fn lost(&self) -> CancellationToken {
        self.exits.journal.lost()
    }

    async fn settle(mut self, outcome: &Outcome, history: &History) -> Settled {
        let now = SystemClock.now();
        let entry = Entry::of(self.found.line, self.found.key, outcome, history, now);
        let entry = Record::Entry(entry);
        if self.exits.journal.write(std::slice::from_ref(&entry)).await.is_err() {
            return Settled::Abandoned;
        }
        if let Record::Entry(entry) = &entry {
            self.count(entry);
        }
        match self.stay(outcome, *history) {
            None => {
                self.tell(Back::Over);
                Settled::Done
            }
            Some(stay) => {
                self.tell(Back::Again(stay));
                match outcome {
                    Outcome::Requeued => Settled::Requeued,
                    _ => Settled::Done,
                }
            }
        }
    }
}

impl Drop for LineDelivery {
    fn drop(&mut self) {
        // Its entry may be on its way to the disk. To give the job out again could put a second entry
        // behind the first, and a rejection behind a proof; so its line is left to the next run.
        if self.in_hand {
            self.exits.tally.broken_off();
            self.tell(Back::Over);
        }
    }
}
