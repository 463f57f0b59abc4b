//! Publishing dead letters and parked jobs: on a connection of its own, confirmed, again and again
//! until it succeeds.
//!
//! One task owns the channel. Two tasks on one channel could swap confirms, and the broker reports a
//! returned message on whichever confirm completes next. So letters go out in batches, and a batch is
//! over when all of its confirms are in. A failure leaves the letter where it is: it is published
//! again, the endpoint is not called again.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, Event,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use super::{
    connect::{Connector, Purpose, fault},
    outbox::{Condition, Outbox},
    queues::Queues,
    settings::Settings,
    topology,
};
use crate::{
    domain::Schedule,
    metrics::{Metrics, Published, Target},
};

/// Letters on their way to the publisher; more wait with their senders.
const INBOX: usize = 256;

/// Letters that go out before their confirms are awaited.
const BATCH: usize = 128;

/// How often a wait for confirms looks whether the broker blocks the connection.
const BLOCK_CHECK: Duration = Duration::from_millis(100);

/// The waits between tries: the broker is near, and verdicts wait in hand.
const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(100),
    multiplier: 2.0,
    max: Duration::from_secs(2),
    jitter: 0.5,
};

/// A message on its way to a queue of ours.
#[derive(Debug)]
pub struct Letter {
    /// Which kind of queue, for the metric.
    pub target: Target,
    /// The queue.
    pub queue: ShortString,
    /// The body, byte for byte as it came.
    pub body: Vec<u8>,
    /// The properties.
    pub properties: BasicProperties,
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
pub(super) struct Posted {
    letter: Letter,
    confirmed: oneshot::Sender<()>,
}

impl Publisher {
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
        let (sender, inbox) = mpsc::channel(INBOX);
        let task = Self {
            connector: Connector::new(settings.clone()),
            settings,
            queues,
            metrics,
            outbox,
            inbox,
            waiting: VecDeque::new(),
        };
        (task, Publisher { inbox: sender })
    }

    /// Publishes until closed.
    pub async fn run(mut self) {
        let mut backoff = RETRY.start();
        loop {
            let failed = match self.connector.connect(Purpose::Publish).await {
                Err(unreachable) => unreachable.to_string(),
                Ok(connection) => {
                    let ended = self.serve(&connection, &mut backoff).await;
                    // A connection that failed may hang instead of closing: it is not waited for.
                    let closing = connection.close(0, "".into());
                    let _ = timeout(self.settings.connect_timeout, closing).await;
                    match ended {
                        Ended::Closed => return,
                        Ended::Failed(fault) => fault,
                    }
                }
            };
            self.metrics.broker_blocked(false);
            self.outbox.failed(failed, self.unpublished());
            if self.closed() {
                return;
            }
            self.wait(backoff.next(fastrand::f64())).await;
        }
    }

    /// Publishes on one channel until it fails.
    async fn serve(
        &mut self,
        connection: &Connection,
        backoff: &mut crate::domain::Backoff,
    ) -> Ended {
        let channel = match self.open(connection).await {
            Ok(channel) => channel,
            Err(error) => return Ended::Failed(fault(&error)),
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
                    self.outbox.failed(refused, self.unpublished());
                    if self.closed() {
                        return Ended::Closed;
                    }
                    self.wait(backoff.next(fastrand::f64())).await;
                    if !channel.status().connected() {
                        return Ended::Failed("the channel was closed".to_owned());
                    }
                }
            }
        }
    }

    async fn open(&self, connection: &Connection) -> lapin::Result<Channel> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Publishes a batch and awaits all of its confirms; what was refused stays at the front.
    /// `Ok(Some(why))` if anything was.
    async fn publish(
        &mut self,
        connection: &Connection,
        channel: &Channel,
    ) -> Result<Option<String>, String> {
        let mut confirms = Vec::new();
        let batch: Vec<Posted> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        let mut failed = None;
        for posted in &batch {
            let letter = &posted.letter;
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let sent = channel
                .basic_publish(
                    ShortString::default(),
                    letter.queue.clone(),
                    options,
                    &letter.body,
                    letter.properties.clone(),
                )
                .await;
            match sent {
                Ok(confirm) => confirms.push(confirm),
                Err(error) => {
                    failed = Some(fault(&error));
                    break;
                }
            }
        }
        let confirmations = match failed {
            None => self.confirmations(connection, confirms).await,
            Some(failed) => Err(failed),
        };
        match confirmations {
            Ok(confirmations) => Ok(self.sort(connection, batch, confirmations).await),
            Err(failed) => {
                for posted in batch.into_iter().rev() {
                    self.waiting.push_front(posted);
                }
                Err(failed)
            }
        }
    }

    /// Awaits the confirms of a batch, in time. While the broker blocks the connection nothing can
    /// come, so the deadline stands still.
    async fn confirmations(
        &self,
        connection: &Connection,
        confirms: Vec<lapin::PublisherConfirm>,
    ) -> Result<Vec<Confirmation>, String> {
        let count = confirms.len();
        let mut all = Box::pin(futures_util::future::try_join_all(confirms));
        let mut left = self.settings.confirm_timeout;
        loop {
            match timeout(BLOCK_CHECK.min(left), &mut all).await {
                Ok(Ok(confirmations)) => return Ok(confirmations),
                Ok(Err(error)) => return Err(fault(&error)),
                Err(_) => {
                    let blocked = connection.status().blocked();
                    self.metrics.broker_blocked(blocked);
                    if blocked {
                        self.outbox.failed("the broker blocks publishing".to_owned(), count);
                    } else {
                        left = left.saturating_sub(BLOCK_CHECK);
                    }
                }
            }
            if left.is_zero() {
                return Err("the broker does not confirm".to_owned());
            }
        }
    }

    /// Tells the senders of what was confirmed; keeps the rest. A nack belongs to its letter. A
    /// return does not, for the broker reports it on some confirm of the batch: every letter of the
    /// returned one's queue counts as returned.
    async fn sort(
        &mut self,
        connection: &Connection,
        batch: Vec<Posted>,
        confirmations: Vec<Confirmation>,
    ) -> Option<String> {
        let mut returned: Vec<ShortString> = Vec::new();
        let mut nacked = Vec::with_capacity(confirmations.len());
        for confirmation in confirmations {
            nacked.push(confirmation.is_nack());
            returned.extend(confirmation.take_message().map(|message| message.delivery.routing_key));
        }
        let mut refused = None;
        let mut kept = Vec::new();
        for (posted, nacked) in batch.into_iter().zip(nacked) {
            let target = posted.letter.target;
            let queue = &posted.letter.queue;
            if returned.contains(queue) {
                self.metrics.published(target, Published::Returned);
                refused = Some(format!("queue {queue} does not exist"));
                kept.push(posted);
            } else if nacked {
                self.metrics.published(target, Published::Nacked);
                refused = Some(format!("queue {queue} refuses messages"));
                kept.push(posted);
            } else {
                self.metrics.published(target, Published::Confirmed);
                // Whoever waited may have gone: the letter stands all the same.
                let _ = posted.confirmed.send(());
            }
        }
        for posted in kept.into_iter().rev() {
            self.waiting.push_front(posted);
        }
        if !returned.is_empty() && self.settings.declare {
            // The queue may have been deleted. If it can't be declared, the next try says so again.
            let _ = topology::ensure(connection, &self.queues, true).await;
        }
        refused
    }

    fn take_in(&mut self) {
        while self.waiting.len() < BATCH {
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
            None => Some("the connection is gone".to_owned()),
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
