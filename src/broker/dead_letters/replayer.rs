//! Dead letters on their way back into a lane.

use std::{collections::HashSet, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tracing::warn;

use super::message::BrowsedMessage;
use crate::{
    broker::{
        batch::{self, BLOCKED, CutShort, Fate, Outgoing},
        confirm_channel::{ConfirmChannel, DedicatedChannel, PrepareError},
        headers,
        patience::Patience,
        pending::{Entry, Limits, Next, Pending, Scope},
        publisher::Letter,
        queues::Queues,
        settings::Settings,
    },
    domain::Lane,
};

/// What goes out before its confirms are awaited: mostly all that a caller brings.
const BATCH: Limits = Limits { messages: usize::MAX, bytes: 16 * 1024 * 1024 };

/// More letters than these are refused only where the broker refuses everything.
const MOST_REFUSED: usize = 10_000;

/// The broker may block publishing for so long before it is given up: the letters are held meanwhile,
/// and `consumer_timeout` (30 minutes by default) must not strike.
const BLOCKED_LIMIT: Duration = Duration::from_secs(300);

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayResult {
    /// For each letter, whether its lane has it.
    pub confirmed: Vec<bool>,
    /// Why the others were refused, or nothing is known of them; `None` where the rest can never be
    /// published.
    pub refused: Option<String>,
}

/// Publishes dead letters as fresh jobs: persistent, mandatory, confirmed; on a connection of its own,
/// for one that is blocked writes nothing, not even acks.
#[derive(Debug)]
pub struct Replayer {
    channel: DedicatedChannel,
    queues: Queues,
    patience: Patience,
    refused: RefusedBodies,
}

/// Letters that the broker will not take back.
#[derive(Debug, Default)]
struct RefusedBodies {
    /// Digests of their bodies.
    bodies: HashSet<[u8; 32]>,
    /// What the broker said of the latest.
    why: String,
}

impl Replayer {
    /// A replayer that is not connected yet.
    #[must_use]
    pub fn new(settings: &Arc<Settings>) -> Self {
        Self {
            channel: DedicatedChannel::new(settings),
            queues: Queues::new(&settings.queue, &settings.park),
            patience: Patience::new(settings.confirm_timeout),
            refused: RefusedBodies::default(),
        }
    }

    /// Declares the queues, or checks that they are there.
    ///
    /// # Errors
    ///
    /// The broker that cannot be reached, or the queue that is not as it must be.
    pub async fn prepare(&mut self) -> Result<(), PrepareError> {
        self.channel.prepare(&self.queues).await
    }

    /// The message that takes a letter back into `lane`.
    #[must_use]
    pub fn letter(&self, held: BrowsedMessage, lane: Lane) -> Letter {
        let (body, original) = held.into_parts();
        let properties = headers::of_replayed(&original);
        let queue = self.queues.lane(lane).clone();
        Letter { target: None, queue, body, properties, charge: None }
    }

    /// Whether the broker has refused this letter before, and would again.
    #[must_use]
    pub fn refuses(&self, held: &BrowsedMessage) -> bool {
        !self.refused.bodies.is_empty() && self.refused.bodies.contains(&digest(held.body()))
    }

    /// What the broker said of the latest letter that it refused.
    #[must_use]
    pub fn refusal(&self) -> &str {
        &self.refused.why
    }

    /// Publishes a batch and awaits its confirms. Each that came counts. A letter that breaks its channel
    /// is found and left out, and the others go on.
    ///
    /// # Errors
    ///
    /// [`PrepareError`] if none was sent.
    pub async fn publish(&mut self, letters: &[Letter]) -> Result<ReplayResult, PrepareError> {
        let mut channel = self.channel.take().await?;
        let mut sending = ReplayBatch::of(letters);
        let refused = loop {
            if sending.pending.is_empty() {
                self.channel.put_back(channel);
                break None;
            }
            match self.attempt(&channel, &mut sending).await {
                Next::Continue => {}
                Next::Reopen(_) if self.refused.bodies.len() < MOST_REFUSED => {
                    match self.channel.take().await {
                        Ok(fresh) => channel = fresh,
                        Err(unreachable) => break Some(unreachable.to_string()),
                    }
                }
                Next::Reopen(why) | Next::Wait(why) => break Some(why),
            }
        };
        Ok(ReplayResult { confirmed: sending.confirmed, refused })
    }

    /// Publishes once what goes next.
    async fn attempt(&mut self, channel: &ConfirmChannel, sending: &mut ReplayBatch<'_>) -> Next {
        let letters = sending.letters;
        let batch = sending.pending.next(sending.count);
        let frame_max = channel.frame_max();
        let outgoing = batch.iter().map(|Entry { message: place, .. }| {
            let Letter { queue, body, properties, .. } = &letters[*place];
            Outgoing { queue, body, properties: headers::fit(properties, frame_max) }
        });
        let given_up = sleep(BLOCKED_LIMIT);
        let published =
            batch::publish(channel, outgoing, &mut self.patience, &|_| (), given_up).await;
        let gave_up = published.cut_short == Some(CutShort::GivenUp);
        let unknown = published.fates.iter().filter(|fate| **fate == Fate::Unknown).count();
        let mut refusals = batch.iter().zip(&published.fates).filter_map(|(entry, fate)| {
            fate.refusal()
                .map(|refusal| format!("queue {}: {refusal}", letters[entry.message].queue))
        });
        let refusal = refusals.next();
        let applied = sending.pending.apply(batch, published, Scope::Apart, sending.count);
        sending.count += applied.confirmed.len() as u64;
        for place in applied.confirmed {
            sending.confirmed[place] = true;
        }
        let condemned = applied.unpublishable.len();
        for (place, refusal) in applied.unpublishable {
            self.refused.bodies.insert(digest(&letters[place].body));
            self.refused.why = refusal.why;
        }
        if unknown > condemned {
            warn!(letters = unknown - condemned, "so many letters may go back twice");
        }
        match applied.next {
            Next::Wait(_) if gave_up => Next::Wait(BLOCKED.to_owned()),
            Next::Wait(why) => Next::Wait(refusal.unwrap_or(why)),
            next => next,
        }
    }

    /// Closes the connection.
    pub async fn disconnect(&mut self) {
        self.channel.close().await;
    }
}

/// The letters of one call.
struct ReplayBatch<'a> {
    letters: &'a [Letter],
    /// By their places.
    pending: Pending<usize>,
    confirmed: Vec<bool>,
    count: u64,
}

impl<'a> ReplayBatch<'a> {
    fn of(letters: &'a [Letter]) -> Self {
        let mut pending = Pending::new(BATCH);
        for (place, letter) in letters.iter().enumerate() {
            pending.push(place, letter.body.len());
        }
        Self { letters, pending, confirmed: vec![false; letters.len()], count: 0 }
    }
}

fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}
