//! The letters for one queue, on a channel of their own: what fails for this queue, or breaks this
//! channel, holds up no letter for another.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    batch::{self, CutShort, Fate, Outgoing, Published, Wait},
    confirm_channel::{ConfirmChannel, DedicatedChannel},
    connection::Connection,
    headers,
    outbox::Outbox,
    patience::Patience,
    pending::{Applied, Entry, Limits, Next, Pending, Scope},
    publisher::{Letter, Posted},
    queues::Queues,
    settings::Settings,
    topology,
};
use crate::{
    domain::{Backoff, Schedule},
    metrics::{self, Metrics},
};

/// What goes out before its confirms are awaited.
const BATCH: Limits = Limits { messages: 128, bytes: 1024 * 1024 };

/// Letters that are taken in from their senders; more wait there.
const TAKEN_IN: usize = 256;

/// The waits between tries: the broker is near, and verdicts wait in flight.
pub const RETRY: Schedule = Schedule {
    initial: std::time::Duration::from_millis(100),
    multiplier: 2.0,
    max: std::time::Duration::from_secs(2),
    jitter: 0.5,
};

/// The publishing connection as it is now.
#[derive(Debug, Clone)]
pub enum Line {
    /// It is there.
    Up(Arc<Connection>),
    /// It is not, for this reason.
    Down(String),
}

/// What the destinations of one publisher share.
#[derive(Debug)]
pub struct Shared {
    pub settings: Arc<Settings>,
    pub queues: Arc<Queues>,
    pub metrics: Arc<Metrics>,
    pub outbox: Arc<Outbox>,
    /// Letters that the broker has confirmed, of any queue.
    pub confirmed: AtomicU64,
}

/// The letters for one queue. It ends when its inbox is closed and the last letter is confirmed, refused
/// or given up.
#[derive(Debug)]
pub struct Destination {
    /// The queue, as it is named to people.
    name: String,
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Posted>,
    line: watch::Receiver<Line>,
    channel: Option<ConfirmChannel>,
    /// For a message that may have broken the shared connection.
    apart: DedicatedChannel,
    pending: Pending<Posted>,
    patience: Patience,
    backoff: Backoff,
}

impl Destination {
    /// A destination that has no channel yet.
    pub fn new(
        name: String,
        shared: Arc<Shared>,
        inbox: mpsc::Receiver<Posted>,
        line: watch::Receiver<Line>,
    ) -> Self {
        let patience = Patience::new(shared.settings.confirm_timeout);
        let (pending, backoff) = (Pending::new(BATCH), RETRY.start());
        let apart = DedicatedChannel::new(&shared.settings);
        Self { name, shared, inbox, line, channel: None, apart, pending, patience, backoff }
    }

    /// Publishes what comes until nothing more can come.
    pub async fn run(mut self) {
        loop {
            if self.unpublished() == 0 {
                self.shared.outbox.cleared(&self.name);
                match self.inbox.recv().await {
                    Some(posted) => self.keep(posted),
                    None => return,
                }
            }
            self.take_in();
            let goes_apart = self.pending.goes_apart(self.confirmed());
            let connected =
                if goes_apart { self.connected_apart().await } else { self.connected().await };
            let Some(channel) = connected else { continue };
            match self.publish(&channel, goes_apart).await {
                Next::Continue if goes_apart => {
                    self.backoff.reset();
                    self.apart.put_back(channel);
                }
                Next::Continue => {
                    self.backoff.reset();
                    self.channel = Some(channel);
                }
                Next::Reopen(why) => {
                    self.failed(why);
                    channel.close(&self.shared.settings).await;
                }
                Next::Wait(why) => {
                    self.failed(why);
                    channel.close(&self.shared.settings).await;
                    self.wait().await;
                }
            }
        }
    }

    /// Publishes one batch, over the connection that all queues share or over the one apart.
    async fn publish(&mut self, channel: &ConfirmChannel, is_apart: bool) -> Next {
        let (batch, letters) = self.take_out();
        if batch.is_empty() {
            return Next::Continue;
        }
        let frame_max = channel.frame_max();
        let outgoing = letters.iter().map(|Letter { queue, body, properties, .. }| Outgoing {
            queue,
            body,
            properties: headers::fit(properties, frame_max),
        });
        let (shared, queue, inbox) = (&self.shared, &self.name, &self.inbox);
        let waiting = batch.len() + self.pending.len();
        let waits = |how: Wait| {
            shared.metrics.broker_blocked(how == Wait::Blocked);
            if let Some(problem) = how.problem() {
                shared.outbox.failed(queue, problem.to_owned(), waiting + inbox.len());
            }
        };
        // Nobody gives a batch up: one sender may have gone, but the others have not.
        let forever = std::future::pending();
        let published =
            batch::publish(channel, outgoing, &mut self.patience, &waits, forever).await;
        self.count(&letters, &published);
        for ((entry, letter), fate) in batch.iter().zip(letters).zip(&published.fates) {
            if *fate != Fate::Confirmed {
                entry.message.put_back(letter);
            }
        }
        let is_gone = published.fates.contains(&Fate::Returned);
        let scope = if is_apart { Scope::Apart } else { Scope::Shared };
        let applied = self.pending.apply(batch, published, scope, self.confirmed());
        let next = Self::tell(applied);
        if is_gone && self.shared.settings.declare {
            // The queue was deleted. If it can't be declared, the next try is returned again.
            let _ = topology::ensure(&channel.connection, &self.shared.queues, true).await;
        }
        next
    }

    /// Takes out what goes next, and its letters. What its senders have given up by now is left out: their jobs
    /// come again, and a letter would be one copy more.
    fn take_out(&mut self) -> (Vec<Entry<Posted>>, Vec<Letter>) {
        self.pending.retain(Posted::is_awaited);
        let mut batch = self.pending.next(self.confirmed());
        let mut letters = Vec::with_capacity(batch.len());
        batch.retain(|entry| {
            let letter = entry.message.take();
            let is_there = letter.is_some();
            letters.extend(letter);
            is_there
        });
        (batch, letters)
    }

    /// Counts what became of the letters of a batch.
    fn count(&self, letters: &[Letter], published: &Published) {
        let silent = published.cut_short == Some(CutShort::Silent);
        for (letter, fate) in letters.iter().zip(&published.fates) {
            let counted = match fate {
                Fate::Confirmed => metrics::Published::Confirmed,
                Fate::Nacked => metrics::Published::Nacked,
                Fate::Returned => metrics::Published::Returned,
                Fate::Unknown if silent => metrics::Published::TimedOut,
                Fate::Unknown => continue,
            };
            if *fate == Fate::Confirmed {
                self.shared.confirmed.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(target) = letter.target {
                self.shared.metrics.published(target, counted);
            }
        }
    }

    /// Tells the senders what became of their letters.
    fn tell(applied: Applied<Posted>) -> Next {
        for posted in applied.confirmed {
            posted.tell(Ok(()));
        }
        for (posted, refusal) in applied.unpublishable {
            posted.tell(Err(refusal));
        }
        applied.next
    }

    /// A connection apart and a channel on it; `None` after a failure, once it is time for another try. The
    /// messages that can go over the shared connection go first then.
    async fn connected_apart(&mut self) -> Option<ConfirmChannel> {
        match self.apart.take().await {
            Ok(channel) => Some(channel),
            Err(unreachable) => {
                self.pending.put_off(self.confirmed());
                self.failed(unreachable.to_string());
                self.wait().await;
                None
            }
        }
    }

    /// The shared connection and a channel on it; `None` after a failure, once it is time for another try.
    async fn connected(&mut self) -> Option<ConfirmChannel> {
        self.apart.discard();
        if let Some(channel) = self.channel.take()
            && channel.is_open()
        {
            return Some(channel);
        }
        let line = self.line.borrow_and_update().clone();
        match line {
            Line::Up(connection) if connection.status().connected() => {
                match ConfirmChannel::open(connection, &self.shared.settings).await {
                    Ok(channel) => return Some(channel),
                    Err(why) => {
                        self.failed(why);
                        self.wait().await;
                    }
                }
            }
            line => {
                if let Line::Down(why) = line {
                    self.failed(why);
                }
                if !self.is_closed() {
                    // The publisher says what becomes of it, as long as there is one.
                    let _ = self.line.changed().await;
                }
            }
        }
        None
    }

    fn keep(&mut self, posted: Posted) {
        let size = posted.size();
        self.pending.push(posted, size);
    }

    fn take_in(&mut self) {
        while self.pending.len() < TAKEN_IN {
            match self.inbox.try_recv() {
                Ok(posted) => self.keep(posted),
                Err(_) => break,
            }
        }
    }

    /// Letters that somebody still waits for; the others are dropped.
    fn unpublished(&mut self) -> usize {
        self.pending.retain(Posted::is_awaited);
        self.pending.len() + self.inbox.len()
    }

    fn failed(&mut self, why: String) {
        let letters = self.unpublished();
        self.shared.outbox.failed(&self.name, why, letters);
    }

    /// Letters that the broker has confirmed so far, of any queue.
    fn confirmed(&self) -> u64 {
        self.shared.confirmed.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        self.pending.is_empty() && self.inbox.is_closed() && self.inbox.is_empty()
    }

    /// Waits before the next try.
    async fn wait(&mut self) {
        sleep(self.backoff.next(fastrand::f64())).await;
    }
}
