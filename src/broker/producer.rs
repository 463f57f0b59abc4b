//! Jobs on their way into a lane: what `revoker enqueue` publishes.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use lapin::types::ShortString;
use tokio::time::sleep;

use super::{
    batch::{self, CutShort, Fate, Outgoing, Wait},
    confirm_channel::{DedicatedChannel, PrepareError},
    headers,
    outbox::Outbox,
    patience::Patience,
    pending::{Entry, Limits, Next, Pending, Scope},
    queues::Queues,
    settings::Settings,
    topology,
};
use crate::{
    domain::{Backoff, Lane, Schedule},
    ports::Unpublishable,
};

/// What goes out before its confirms are awaited: mostly all that a caller brings, for jobs are small.
const BATCH: Limits = Limits { messages: usize::MAX, bytes: 16 * 1024 * 1024 };

/// The waits between tries.
const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(100),
    multiplier: 2.0,
    max: Duration::from_secs(5),
    jitter: 0.5,
};

/// Publishes jobs as a producer should: persistent, mandatory, confirmed, again and again until they
/// are.
///
/// Apart from [`Publishing`](super::Publishing), which serves many, who each wait for one letter: this
/// one serves a single caller with thousands of jobs at a time.
pub struct Producer {
    settings: Arc<Settings>,
    queues: Queues,
    channel: DedicatedChannel,
    patience: Patience,
    backoff: Backoff,
    outbox: Outbox,
}

/// The jobs of one call.
struct Sending<J> {
    pending: Pending<J>,
    /// How many are confirmed so far.
    confirmed: u64,
    refused: Vec<(J, Unpublishable)>,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer that is not connected yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            queues: Queues::new(&settings.queue, &settings.park),
            channel: DedicatedChannel::new(&settings),
            patience: Patience::new(settings.confirm_timeout),
            backoff: RETRY.start(),
            outbox: Outbox::default(),
            settings,
        }
    }

    /// Connects and declares the queues, or checks that they are there.
    ///
    /// # Errors
    ///
    /// The broker that cannot be reached, or the queue that is not as it must be.
    pub async fn prepare(&mut self) -> Result<(), PrepareError> {
        self.channel.prepare(&self.queues).await
    }

    /// Publishes jobs; returns when the lane has confirmed all of them, however often it takes, or when
    /// `given_up` does. In `jobs` stay those that are not confirmed: none, unless it was given up. A
    /// job whose confirm was lost is published twice. Returns the jobs that the broker refuses while it
    /// takes others.
    pub async fn publish<J: AsRef<[u8]>>(
        &mut self,
        lane: Lane,
        jobs: &mut Vec<J>,
        given_up: impl Future<Output = ()>,
    ) -> Vec<(J, Unpublishable)> {
        let mut pending = Pending::new(BATCH);
        for job in mem::take(jobs) {
            let size = job.as_ref().len();
            pending.push(job, size);
        }
        let mut sending = Sending { pending, confirmed: 0, refused: Vec::new() };
        let queue = self.queues.lane(lane).clone();
        // Not by dropping the work: what was confirmed until then would be forgotten.
        let given_up = given_up.shared();
        while !sending.pending.is_empty() && given_up.peek().is_none() {
            match self.attempt(&queue, &mut sending, given_up.clone()).await {
                Next::Continue => {
                    self.backoff.reset();
                    self.outbox.cleared(queue.as_str());
                }
                Next::Reopen(why) => {
                    self.outbox.failed(queue.as_str(), why, sending.pending.len());
                    self.channel.close().await;
                }
                Next::Wait(why) => {
                    self.outbox.failed(queue.as_str(), why, sending.pending.len());
                    self.channel.close().await;
                    tokio::select! {
                        biased;
                        () = given_up.clone() => {}
                        () = sleep(self.backoff.next(fastrand::f64())) => {}
                    }
                }
            }
        }
        *jobs = sending.pending.into_messages();
        sending.refused
    }

    /// Closes the connection.
    pub async fn close(mut self) {
        self.channel.close().await;
    }

    /// Publishes once what goes next.
    async fn attempt<J: AsRef<[u8]>>(
        &mut self,
        queue: &ShortString,
        sending: &mut Sending<J>,
        given_up: impl Future<Output = ()> + Clone,
    ) -> Next {
        let connected = tokio::select! {
            biased;
            connected = self.channel.take() => connected,
            () = given_up.clone() => return Next::Wait(CutShort::GivenUp.to_string()),
        };
        let channel = match connected {
            Ok(channel) => channel,
            Err(unreachable) => return Next::Wait(unreachable.to_string()),
        };
        let batch = sending.pending.next(sending.confirmed);
        let properties = headers::of_job(SystemTime::now());
        let jobs = batch.iter().map(|Entry { message, .. }| Outgoing {
            queue,
            body: message.as_ref(),
            properties: properties.clone(),
        });
        let sent = batch.len();
        let waits = |how: Wait| {
            if let Some(problem) = how.problem() {
                self.outbox.failed(queue.as_str(), problem.to_owned(), sent);
            }
        };
        let published = batch::publish(&channel, jobs, &mut self.patience, &waits, given_up).await;
        if published.fates.contains(&Fate::Returned) && self.settings.declare {
            // The queue was deleted. If it can't be declared, the next try is returned again.
            let _ = topology::ensure(&channel.connection, &self.queues, true).await;
        }
        self.channel.put_back(channel);
        let applied = sending.pending.apply(batch, published, Scope::Apart, sending.confirmed);
        sending.confirmed += applied.confirmed.len() as u64;
        sending.refused.extend(applied.unpublishable);
        applied.next
    }
}
