//! Publishes to one queue on a channel of its own. A failure of this queue or channel delays no message to another
//! queue.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    advice::advised,
    batch::{self, BLOCKED, Interruption, OutgoingRef, PublishResult, PublishedBatch},
    confirm_channel::{ConfirmChannel, DedicatedChannel},
    confirm_timeout::ConfirmTimeout,
    connection::Connection,
    headers,
    outgoing::OutgoingMessage,
    pending::{Applied, BatchLimits, ConnectionUse, NextStep, Pending, PendingMessage},
    publish_health::PublishHealth,
    publisher::PublishRequest,
    queues::Queues,
    settings::BrokerSettings,
    topology,
};
use crate::{
    domain::{Backoff, Schedule},
    metrics::{self, Metrics},
};

/// The size of a batch. A batch ends when its last confirm has come, so a small one leaves the broker idle meanwhile.
pub(super) const BATCH: BatchLimits = BatchLimits { messages: 512, bytes: 1024 * 1024 };

/// Fewer messages than this in the inbox wait for more, because a batch costs as many thread switches for one message as for
/// many.
const FEW: usize = 64;

/// How long they wait. A settlement waits as long for others before it is flushed.
const GATHER: Duration = Duration::from_millis(4);

/// Messages taken from the inbox. Further ones wait there.
const TAKEN_IN: usize = 512;

/// The delays between tries. They are short: the broker is near, and jobs wait in flight.
pub(super) const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(100),
    multiplier: 2.0,
    max: Duration::from_secs(2),
    jitter: 0.5,
};

/// The publishing connection that all queues share.
#[derive(Debug, Clone)]
pub(super) enum SharedConnection {
    Up(Arc<Connection>),
    /// It is lost, for this reason.
    Down(String),
}

/// The state that all destinations share.
#[derive(Debug)]
pub(super) struct PublishContext {
    pub(super) settings: Arc<BrokerSettings>,
    pub(super) queues: Arc<Queues>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<PublishHealth>,
}

/// The messages for one queue. It ends when its inbox is closed and every message is confirmed, refused or given up.
pub(super) struct Destination {
    /// The queue's name, for texts.
    name: String,
    shared: Arc<PublishContext>,
    inbox: mpsc::Receiver<PublishRequest>,
    shared_connection: watch::Receiver<SharedConnection>,
    channel: Option<ConfirmChannel>,
    /// For a message that may have broken the shared connection.
    dedicated: DedicatedChannel,
    pending: Pending<PublishRequest>,
    confirm_timeout: ConfirmTimeout,
    backoff: Backoff,
}

impl Destination {
    pub(super) fn new(
        name: String,
        shared: Arc<PublishContext>,
        inbox: mpsc::Receiver<PublishRequest>,
        shared_connection: watch::Receiver<SharedConnection>,
        pending: Pending<PublishRequest>,
    ) -> Self {
        Self {
            channel: None,
            dedicated: DedicatedChannel::new(&shared.settings),
            confirm_timeout: ConfirmTimeout::new(shared.settings.confirm_timeout),
            backoff: RETRY.start(),
            name,
            shared,
            inbox,
            shared_connection,
            pending,
        }
    }

    /// Publishes messages until the inbox is closed and empty.
    pub(super) async fn run(mut self) {
        loop {
            let waiting = self.unpublished();
            // Messages that are left of a batch have waited.
            let all_are_new = self.pending.is_empty();
            if waiting == 0 {
                self.shared.health.cleared(&self.name);
                match self.inbox.recv().await {
                    Some(request) => self.keep(request),
                    None => return,
                }
            }
            if all_are_new {
                gather(&self.inbox).await;
            }
            self.take_in();
            let needs_dedicated = self.pending.needs_dedicated();
            let connected = if needs_dedicated {
                self.connected_dedicated().await
            } else {
                self.connected().await
            };
            let Some(channel) = connected else { continue };
            match self.publish(&channel, needs_dedicated).await {
                NextStep::Continue if needs_dedicated => {
                    self.backoff.reset();
                    self.dedicated.put_back(channel);
                }
                NextStep::Continue => {
                    self.backoff.reset();
                    self.channel = Some(channel);
                }
                NextStep::Reopen(why) => {
                    self.failed(advised(why));
                    channel.close(&self.shared.settings).await;
                }
                NextStep::Wait(why) => {
                    self.failed(advised(why));
                    channel.close(&self.shared.settings).await;
                    self.wait().await;
                }
            }
        }
    }

    /// Publishes one batch, over the shared or the dedicated connection.
    async fn publish(&mut self, channel: &ConfirmChannel, is_dedicated: bool) -> NextStep {
        let (batch, messages) = self.take_out();
        if batch.is_empty() {
            return NextStep::Continue;
        }
        let frame_max = channel.frame_max();
        let outgoing = messages.iter().map(|message| OutgoingRef {
            queue: &message.queue,
            body: &message.body,
            properties: headers::fit(message.properties(), frame_max),
        });
        let (shared, queue, inbox) = (&self.shared, &self.name, &self.inbox);
        let waiting = batch.len() + self.pending.len();
        let waits = |problem: Option<&str>| {
            shared.metrics.broker_blocked(problem == Some(BLOCKED));
            if let Some(problem) = problem {
                shared.health.failed(queue, problem.to_owned(), waiting + inbox.len());
            }
        };
        // A batch is never given up: one sender may be gone while others still wait.
        let forever = std::future::pending();
        let published =
            batch::publish(channel, outgoing, &mut self.confirm_timeout, &waits, forever).await;
        self.count(&messages, &published);
        for ((entry, message), result) in batch.iter().zip(messages).zip(&published.results) {
            if *result != PublishResult::Confirmed {
                entry.message.put_back(message);
            }
        }
        let is_gone = published.results.contains(&PublishResult::Returned);
        let used = if is_dedicated { ConnectionUse::Dedicated } else { ConnectionUse::Shared };
        let applied = self.pending.apply(batch, published, used);
        let next = Self::respond(applied);
        let declare = self.shared.settings.declare;
        if is_gone && declare.makes_missing() {
            // The queue was deleted. If it can't be declared, the next try is returned again.
            let _ = topology::ensure(&channel.connection, &self.shared.queues, declare).await;
        }
        next
    }

    /// Takes out the next batch and its messages. Messages that their senders have given up are left out: their jobs
    /// are delivered again, and each message would be one more copy.
    fn take_out(&mut self) -> (Vec<PendingMessage<PublishRequest>>, Vec<OutgoingMessage>) {
        let mut batch = self.pending.next();
        let mut messages = Vec::with_capacity(batch.len());
        batch.retain(|entry| {
            let message = entry.message.take();
            let is_there = message.is_some();
            messages.extend(message);
            is_there
        });
        (batch, messages)
    }

    fn count(&self, messages: &[OutgoingMessage], published: &PublishedBatch) {
        let silent = published.interruption == Some(Interruption::Silent);
        for (message, result) in messages.iter().zip(&published.results) {
            let counted = match result {
                PublishResult::Confirmed => metrics::Published::Confirmed,
                PublishResult::Nacked => metrics::Published::Nacked,
                PublishResult::Returned => metrics::Published::Returned,
                PublishResult::Unknown if silent => metrics::Published::TimedOut,
                PublishResult::Unknown => continue,
            };
            self.shared.metrics.published(message.target, counted);
        }
    }

    /// Passes the results to the senders.
    fn respond(applied: Applied<PublishRequest>) -> NextStep {
        for request in applied.confirmed {
            request.respond(Ok(()));
        }
        for (request, refusal) in applied.unpublishable {
            request.respond(Err(refusal));
        }
        applied.next
    }

    /// Returns the dedicated channel. On failure it waits for the next try and returns `None`; messages that can use
    /// the shared connection go first then.
    async fn connected_dedicated(&mut self) -> Option<ConfirmChannel> {
        match self.dedicated.take().await {
            Ok(channel) => Some(channel),
            Err(unreachable) => {
                self.pending.put_off();
                self.failed(advised(unreachable.to_string()));
                self.wait().await;
                None
            }
        }
    }

    /// Returns a channel on the shared connection. On failure it waits for the next try and returns `None`.
    async fn connected(&mut self) -> Option<ConfirmChannel> {
        self.dedicated.discard();
        if let Some(channel) = self.channel.take()
            && channel.is_open()
        {
            return Some(channel);
        }
        let shared_connection = self.shared_connection.borrow_and_update().clone();
        match shared_connection {
            SharedConnection::Up(connection) if connection.status().connected() => {
                match ConfirmChannel::open(connection, &self.shared.settings).await {
                    Ok(channel) => return Some(channel),
                    Err(why) => {
                        self.failed(advised(why));
                        self.wait().await;
                    }
                }
            }
            shared_connection => {
                if let SharedConnection::Down(why) = shared_connection {
                    self.failed(why);
                }
                if !self.is_closed() {
                    // `keep_connected` sends the next state.
                    let _ = self.shared_connection.changed().await;
                }
            }
        }
        None
    }

    fn keep(&mut self, request: PublishRequest) {
        let size = request.size();
        // A message that its sender has given up while it was in the inbox needs no place in a batch.
        if request.is_awaited() {
            self.pending.push(request, size);
        }
    }

    fn take_in(&mut self) {
        while self.pending.len() < TAKEN_IN {
            match self.inbox.try_recv() {
                Ok(request) => self.keep(request),
                Err(_) => break,
            }
        }
    }

    /// The number of messages that are still awaited. The others are dropped.
    fn unpublished(&mut self) -> usize {
        self.pending.retain(PublishRequest::is_awaited);
        self.pending.len() + self.inbox.len()
    }

    fn failed(&mut self, why: String) {
        let messages = self.unpublished();
        self.shared.health.failed(&self.name, why, messages);
    }

    fn is_closed(&self) -> bool {
        self.pending.is_empty() && self.inbox.is_closed() && self.inbox.is_empty()
    }

    async fn wait(&mut self) {
        sleep(self.backoff.next(crate::ports::jitter())).await;
    }
}

/// Lets more messages come if there are few, so that they go together.
async fn gather<T>(inbox: &mpsc::Receiver<T>) {
    if inbox.len() < FEW {
        sleep(GATHER).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_messages_wait_a_moment_for_more_and_many_do_not() {
        for (messages, wait) in [(0, GATHER), (FEW - 1, GATHER), (FEW, Duration::ZERO)] {
            let (sender, inbox) = mpsc::channel(FEW);
            (0..messages).for_each(|_| sender.try_send(()).unwrap());
            let began = Instant::now();
            gather(&inbox).await;
            assert_eq!(began.elapsed(), wait, "{messages}");
        }
    }
}
