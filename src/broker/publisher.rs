//! Publishing dead letters and parked jobs: on a connection of its own, confirmed, again and again
//! until it succeeds.
//!
//! One task owns the channel. Two tasks on one channel could swap confirms, and the broker reports a
//! returned message on whichever confirm completes next. So letters go out in batches, and a batch is
//! over when all of its confirms are in. A failure leaves the letter where it is: it is published
//! again, the endpoint is not called again.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{BasicProperties, Channel, Event, options::ConfirmSelectOptions, types::ShortString};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    batch::{self, Fate},
    cause::{GONE, fault},
    confirm::Unconfirmed,
    connect::{Connector, Purpose},
    connection::Connection,
    link::{self, Silence},
    outbox::Outbox,
    queues::Queues,
    settings::Settings,
    topology,
};
use crate::{
    domain::{Backoff, Schedule},
    metrics::{Metrics, Published, Target},
};

/// Letters on their way to the publisher; more wait with their senders.
const INBOX: usize = 256;

/// Letters that go out before their confirms are awaited.
const BATCH: usize = 128;

/// AMQP's reply code for an orderly close.
const REPLY_SUCCESS: u16 = 200;

/// Letters that the publisher holds; what is beyond waits with its sender. More than can be in hand of
/// any one queue that refuses its letters, so that others still come through.
const WAITING: usize = 4096;

/// The waits between tries: the broker is near, and verdicts wait in hand.
const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(100),
    multiplier: 2.0,
    max: Duration::from_secs(2),
    jitter: 0.5,
};

/// A message on its way to a queue of ours.
pub struct Letter {
    /// Which kind of queue, for the metric; `None` for a producer's job, which is not counted.
    pub target: Option<Target>,
    /// The queue.
    pub queue: ShortString,
    /// The body, byte for byte as it came.
    pub body: Vec<u8>,
    /// The properties.
    pub properties: BasicProperties,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("queue", &self.queue.as_str()).finish_non_exhaustive()
    }
}

/// The publisher is closed: nothing more is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the publisher is closed")]
pub struct Closed;

/// A handle of the publishing task.
#[derive(Debug, Clone)]
pub struct Publisher {
    inbox: mpsc::Sender<Posted>,
}

/// A letter and whoever waits for its confirm.
#[derive(Debug)]
pub struct Posted {
    /// The letter.
    pub letter: Letter,
    /// To be told once the letter's queue has confirmed it.
    pub confirmed: oneshot::Sender<()>,
}

impl Publisher {
    /// A handle, and where its letters arrive.
    #[must_use]
    pub fn pair() -> (Self, mpsc::Receiver<Posted>) {
        let (sender, inbox) = mpsc::channel(INBOX);
        (Self { inbox: sender }, inbox)
    }

    /// Publishes a letter; returns when its queue has confirmed it. Dropping the future gives the
    /// letter up, though it may be on its way already.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the publisher ended first.
    pub async fn publish(&self, letter: Letter) -> Result<(), Closed> {
        let (confirmed, confirmation) = oneshot::channel();
        self.inbox.send(Posted { letter, confirmed }).await.map_err(|_| Closed)?;
        confirmation.await.map_err(|_| Closed)
    }
}

/// The task that publishes. It ends when every [`Publisher`] handle is gone and the last letter is
/// confirmed or given up.
#[derive(Debug)]
pub struct Publishing {
    connector: Connector,
    settings: Arc<Settings>,
    queues: Arc<Queues>,
    metrics: Arc<Metrics>,
    outbox: Arc<Outbox>,
    inbox: mpsc::Receiver<Posted>,
    waiting: VecDeque<Posted>,
}

/// Why a channel is given up.
enum Ended {
    /// There is nothing more to publish, ever.
    Closed,
    /// The connection or channel failed, or did not confirm in time.
    Failed(String),
}

impl Publishing {
    /// The task and the first handle of it.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        queues: Arc<Queues>,
        metrics: Arc<Metrics>,
        outbox: Arc<Outbox>,
    ) -> (Self, Publisher) {
        let (publisher, inbox) = Publisher::pair();
        let task = Self {
            connector: Connector::new(settings.clone()),
            settings,
            queues,
            metrics,
            outbox,
            inbox,
            waiting: VecDeque::new(),
        };
        (task, publisher)
    }

    /// Publishes until closed.
    pub async fn run(mut self) {
        let mut backoff = RETRY.start();
        loop {
            let failed = match self.connector.connect(Purpose::Publish).await {
                Err(unreachable) => unreachable.to_string(),
                Ok(connection) => {
                    let ended = self.serve(&connection, &mut backoff).await;
                    let closing = connection.close(0, "".into());
                    let _ = self.answer(&connection, closing).await;
                    match ended {
                        Ended::Closed => return,
                        Ended::Failed(fault) => fault,
                    }
                }
            };
            self.metrics.broker_blocked(false);
            let unpublished = self.unpublished();
            self.outbox.failed(failed, unpublished);
            if self.closed() {
                return;
            }
            self.wait(backoff.next(fastrand::f64())).await;
        }
    }

    /// Publishes on one channel until it fails.
    async fn serve(&mut self, connection: &Connection, backoff: &mut Backoff) -> Ended {
        let mut channel = match self.open(connection).await {
            Ok(channel) => channel,
            Err(failed) => return Ended::Failed(failed),
        };
        let mut events = Box::pin(connection.events_listener());
        loop {
            if self.waiting.is_empty() {
                self.outbox.cleared();
                tokio::select! {
                    posted = self.inbox.recv() => match posted {
                        Some(posted) => self.waiting.push_back(posted),
                        None => return Ended::Closed,
                    },
                    event = events.next() => match self.note(event) {
                        Some(failed) => return Ended::Failed(failed),
                        None => continue,
                    },
                }
            }
            self.take_in();
            match self.publish(connection, &channel).await {
                Err(failed) => return Ended::Failed(failed),
                Ok(None) => backoff.reset(),
                Ok(Some(refused)) => {
                    let unpublished = self.unpublished();
                    self.outbox.failed(refused, unpublished);
                    if self.closed() {
                        return Ended::Closed;
                    }
                    self.wait(backoff.next(fastrand::f64())).await;
                    // A full quorum queue marks the channels that it refuses, and does not lift the
                    // mark when its limit is taken away: each try needs a channel without one.
                    let closing = channel.close(REPLY_SUCCESS, "refused".into());
                    let _ = self.answer(connection, closing).await;
                    channel = match self.open(connection).await {
                        Ok(fresh) => fresh,
                        Err(failed) => return Ended::Failed(failed),
                    };
                }
            }
        }
    }

    async fn open(&self, connection: &Connection) -> Result<Channel, String> {
        let opened = async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        };
        let opened =
            self.answer(connection, opened).await.map_err(|silence| silence.to_string())?;
        opened.map_err(|error: lapin::Error| fault(&error))
    }

    async fn answer<T>(
        &self,
        connection: &Connection,
        work: impl Future<Output = T>,
    ) -> Result<T, Silence> {
        link::answer(connection.status(), self.settings.connect_timeout, work).await
    }

    /// Publishes a batch and tells the senders of what was confirmed; the rest stays at the front.
    /// `Ok(Some(why))` if anything was refused.
    async fn publish(
        &mut self,
        connection: &Connection,
        channel: &Channel,
    ) -> Result<Option<String>, String> {
        let batch: Vec<Posted> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        let blocked = |blocked| {
            self.metrics.broker_blocked(blocked);
            if blocked {
                self.outbox.failed("the broker blocks publishing".to_owned(), batch.len());
            }
        };
        let letters = batch.iter().map(|posted| &posted.letter);
        let limit = self.settings.confirm_timeout;
        let fates = match batch::publish(connection, channel, letters, limit, blocked).await {
            Ok(fates) => fates,
            Err(unconfirmed) => {
                if unconfirmed == Unconfirmed::TimedOut {
                    for posted in &batch {
                        self.count(&posted.letter, Published::TimedOut);
                    }
                }
                self.keep(batch);
                return Err(unconfirmed.to_string());
            }
        };
        let mut refused = None;
        let mut kept = Vec::new();
        for (posted, fate) in batch.into_iter().zip(&fates) {
            let queue = &posted.letter.queue;
            let (counted, why) = match fate {
                Fate::Confirmed => (Published::Confirmed, None),
                Fate::Nacked => (Published::Nacked, Some("refuses messages")),
                Fate::Returned => (Published::Returned, Some("does not exist")),
            };
            self.count(&posted.letter, counted);
            if let Some(why) = why {
                refused = Some(format!("queue {queue} {why}"));
                kept.push(posted);
            } else {
                // Whoever waited may have gone: the letter stands all the same.
                let _ = posted.confirmed.send(());
            }
        }
        // Behind the others: a queue that refuses its letters must not hold up another's.
        self.waiting.extend(kept);
        if fates.contains(&Fate::Returned) && self.settings.declare {
            // The queue was deleted. If it can't be declared, the next try is returned again.
            let _ = topology::ensure(connection, &self.queues, true).await;
        }
        Ok(refused)
    }

    fn count(&self, letter: &Letter, published: Published) {
        if let Some(target) = letter.target {
            self.metrics.published(target, published);
        }
    }

    /// Puts letters back to the front, in their order.
    fn keep(&mut self, letters: Vec<Posted>) {
        for posted in letters.into_iter().rev() {
            self.waiting.push_front(posted);
        }
    }

    fn take_in(&mut self) {
        while self.waiting.len() < WAITING {
            match self.inbox.try_recv() {
                Ok(posted) => self.waiting.push_back(posted),
                Err(_) => break,
            }
        }
    }

    /// Letters that somebody still waits for; the others are dropped.
    fn unpublished(&mut self) -> usize {
        self.waiting.retain(|posted| !posted.confirmed.is_closed());
        self.waiting.len() + self.inbox.len()
    }

    fn closed(&self) -> bool {
        self.waiting.is_empty() && self.inbox.is_closed() && self.inbox.is_empty()
    }

    /// Waits before the next try, taking in what comes meanwhile.
    async fn wait(&mut self, wait: Duration) {
        sleep(wait).await;
        self.take_in();
    }

    fn note(&self, event: Option<Event>) -> Option<String> {
        match event {
            None => Some(GONE.to_owned()),
            Some(Event::Error(error)) => Some(fault(&error)),
            Some(Event::ConnectionBlocked(_)) => {
                self.metrics.broker_blocked(true);
                None
            }
            Some(Event::ConnectionUnblocked) => {
                self.metrics.broker_blocked(false);
                None
            }
            Some(_) => None,
        }
    }
}
