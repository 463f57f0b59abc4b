//! Publishing dead letters to their lanes again.

use std::{borrow::Cow, collections::HashSet, sync::Arc, time::Duration};

use lapin::BasicProperties;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tracing::warn;

use super::{
    batch_action::{ActionError, BatchAction, BatchResult},
    message::BrowsedMessage,
};
use crate::{
    broker::{
        batch::{self, BLOCKED, Interruption, OutgoingRef, PublishResult},
        confirm_channel::{ConfirmChannel, DedicatedChannel},
        confirm_timeout::ConfirmTimeout,
        headers,
        pending::{BatchLimits, ConnectionUse, NextStep, Pending, PendingMessage},
        queues::Queues,
        settings::BrokerSettings,
        topology::PrepareError,
    },
    domain::{Lane, PerLane},
};

/// The most refused messages: a broker that refuses more than that refuses every message.
const MOST_REFUSED: usize = 10_000;

/// The longest that the broker may block publishing: messages are held meanwhile, and must not reach the
/// `consumer_timeout` (30 minutes by default).
const BLOCKED_LIMIT: Duration = Duration::from_secs(300);

/// Publishes dead letters as fresh jobs: persistent, mandatory, confirmed. It has its own connection, because a
/// blocked connection sends nothing, not even acks.
pub struct Replayer {
    channel: DedicatedChannel,
    queues: Queues,
    /// The lane for all jobs; `None` for each job's own lane.
    to_lane: Option<Lane>,
    replayed: PerLane<u64>,
    confirm_timeout: ConfirmTimeout,
    refused: RefusedBodies,
}

/// Messages that the broker refuses.
#[derive(Debug, Default)]
struct RefusedBodies {
    /// Digests of their bodies.
    bodies: HashSet<[u8; 32]>,
    /// The broker's text for the latest one.
    why: String,
}

impl Replayer {
    /// A replayer that is not connected yet. It publishes to `to_lane`, or to each job's own lane.
    pub fn new(settings: &Arc<BrokerSettings>, to_lane: Option<Lane>) -> Self {
        Self {
            channel: DedicatedChannel::new(settings),
            queues: Queues::new(&settings.queue, &settings.park),
            to_lane,
            replayed: PerLane::default(),
            confirm_timeout: ConfirmTimeout::new(settings.confirm_timeout),
            refused: RefusedBodies::default(),
        }
    }

    /// Connects, and declares the queues or checks that they exist.
    pub async fn prepare(&mut self) -> Result<(), ActionError> {
        Ok(self.channel.prepare(&self.queues).await?)
    }

    /// The broker's text for the latest message that it refused.
    pub fn refusal(&self) -> &str {
        &self.refused.why
    }

    /// The number of jobs that each lane has confirmed.
    pub const fn replayed(&self) -> &PerLane<u64> {
        &self.replayed
    }

    /// Publishes the next part of the batch once.
    async fn attempt(&mut self, channel: &ConfirmChannel, batch: &mut ReplayBatch) -> NextStep {
        let (ReplayBatch { jobs, pending, confirmed }, queues) = (batch, &self.queues);
        let entries = pending.next();
        let frame_max = channel.frame_max();
        let outgoing = entries.iter().map(|PendingMessage { message: place, .. }| {
            let FreshJob { lane, body, properties } = &jobs[*place];
            let properties = headers::fit(Cow::Borrowed(properties), frame_max);
            OutgoingRef { queue: queues.lane(*lane), body, properties }
        });
        let given_up = sleep(BLOCKED_LIMIT);
        let published =
            batch::publish(channel, outgoing, &mut self.confirm_timeout, &|_| (), given_up).await;
        let gave_up = published.interruption == Some(Interruption::GivenUp);
        let unknown =
            published.results.iter().filter(|result| **result == PublishResult::Unknown).count();
        let refusal = entries.iter().zip(&published.results).find_map(|(entry, result)| {
            let queue = queues.lane(jobs[entry.message].lane);
            result.refusal().map(|refusal| format!("queue {queue}: {refusal}"))
        });
        let applied = pending.apply(entries, published, ConnectionUse::Dedicated);
        for place in applied.confirmed {
            confirmed[place] = true;
            *self.replayed.get_mut(jobs[place].lane) += 1;
        }
        let unpublishable = applied.unpublishable.len();
        for (place, refusal) in applied.unpublishable {
            self.refused.bodies.insert(digest(&jobs[place].body));
            self.refused.why = refusal.why;
        }
        if unknown > unpublishable {
            let messages = unknown - unpublishable;
            warn!(messages, "messages may be replayed twice: their confirms are missing");
        }
        match applied.next {
            NextStep::Wait(_) if gave_up => NextStep::Wait(BLOCKED.to_owned()),
            NextStep::Wait(why) => NextStep::Wait(refusal.unwrap_or(why)),
            next => next,
        }
    }

    pub async fn disconnect(&mut self) {
        self.channel.close().await;
    }
}

impl BatchAction for Replayer {
    // If the process dies between the confirms and the acks, this many are jobs again and still dead letters.
    const BATCH: usize = 128;

    /// Whether the broker refused this message before: publishing it again would break the channel again.
    fn refuses(&self, message: &BrowsedMessage) -> bool {
        !self.refused.bodies.is_empty() && self.refused.bodies.contains(&digest(message.body()))
    }

    /// Publishes a batch and awaits its confirms. A message that breaks its channel is left out, and the others
    /// continue. On an error, none was sent.
    async fn apply(&mut self, batch: Vec<BrowsedMessage>) -> Result<BatchResult, PrepareError> {
        let mut channel = self.channel.take().await?;
        let mut batch = ReplayBatch::new(batch, self.to_lane);
        let refused = loop {
            if batch.pending.is_empty() {
                self.channel.put_back(channel);
                break None;
            }
            match self.attempt(&channel, &mut batch).await {
                NextStep::Continue => {}
                NextStep::Reopen(_) if self.refused.bodies.len() < MOST_REFUSED => {
                    match self.channel.take().await {
                        Ok(fresh) => channel = fresh,
                        Err(unreachable) => break Some(unreachable.to_string()),
                    }
                }
                NextStep::Reopen(why) | NextStep::Wait(why) => break Some(why),
            }
        };
        Ok(BatchResult { done: batch.confirmed, refused })
    }
}

/// A job on its way to its lane.
struct FreshJob {
    lane: Lane,
    body: Vec<u8>,
    properties: BasicProperties,
}

struct ReplayBatch {
    jobs: Vec<FreshJob>,
    /// The indexes of the unconfirmed jobs.
    pending: Pending<usize>,
    confirmed: Vec<bool>,
}

impl ReplayBatch {
    fn new(messages: Vec<BrowsedMessage>, to_lane: Option<Lane>) -> Self {
        let jobs = messages.into_iter().map(|message| {
            let lane = to_lane.or_else(|| message.letter().lane).unwrap_or(Lane::Bulk);
            let (body, original) = message.into_parts();
            FreshJob { lane, body, properties: headers::of_replayed(&original) }
        });
        let jobs: Vec<_> = jobs.collect();
        let mut pending = Pending::new(BatchLimits::ONE_CALLER, Arc::default());
        for (place, job) in jobs.iter().enumerate() {
            pending.push(place, job.body.len());
        }
        Self { pending, confirmed: vec![false; jobs.len()], jobs }
    }
}

fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}
