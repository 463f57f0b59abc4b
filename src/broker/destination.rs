//! The letters for one queue, on a channel of their own: what fails for this queue, or breaks this
//! channel, holds up no letter for another.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lapin::{Channel, options::ConfirmSelectOptions};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    apart::{Apart, Link},
    batch::{self, CutShort, Fate, Outgoing, Published, Wait, Watch},
    cause::fault,
    connection::Connection,
    headers, link,
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

/// AMQP's reply code for an orderly close.
const REPLY_SUCCESS: u16 = 200;

/// The waits between tries: the broker is near, and verdicts wait in hand.
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
    channel: Option<Link>,
    /// For a message that may have broken the shared connection.
    apart: Apart,
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
        let apart = Apart::new(&shared.settings);
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
            let Some((connection, channel)) = connected else { continue };
            match self.publish(&connection, &channel, goes_apart).await {
                Next::Continue => {
                    self.backoff.reset();
                    let link = (connection, channel);
                    if goes_apart { self.apart.keep(link) } else { self.channel = Some(link) }
                }
                Next::Reopen(why) => {
                    self.failed(why);
                    self.close(&connection, &channel).await;
                }
                Next::Wait(why) => {
                    self.failed(why);
                    self.close(&connection, &channel).await;
                    self.wait().await;
                }
            }
        }
    }

    /// Publishes one batch, over the connection that all queues share or over the one apart.
    async fn publish(
        &mut self,
        connection: &Connection,
        channel: &Channel,
        is_apart: bool,
    ) -> Next {
        let (batch, letters) = self.take_out();
        if batch.is_empty() {
            return Next::Continue;
        }
        let frame_max = connection.configuration().frame_max();
        let outgoing = letters.iter().map(|Letter { queue, body, properties, .. }| Outgoing {
            queue,
            body,
            properties: headers::fit(properties, frame_max),
        });
        let watch = Told { destination: self, letters: batch.len() };
        // Nobody gives a batch up: whoever waited may have gone, but the others have not.
        let forever = std::future::pending();
        let link = (connection, channel);
        let published = batch::publish(link, outgoing, &self.patience, &watch, forever).await;
        self.count(&letters, &published);
        self.patience.note(&published);
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
            let _ = topology::ensure(connection, &self.shared.queues, true).await;
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
    async fn connected_apart(&mut self) -> Option<Link> {
        match self.apart.take().await {
            Ok(link) => Some(link),
            Err(why) => {
                self.pending.put_off(self.confirmed());
                self.failed(why);
                self.wait().await;
                None
            }
        }
    }

    /// The shared connection and a channel on it; `None` after a failure, once it is time for another try.
    async fn connected(&mut self) -> Option<Link> {
        self.apart.end();
        if let Some((connection, channel)) = self.channel.take()
            && connection.status().connected()
            && channel.status().connected()
        {
            return Some((connection, channel));
        }
        let line = self.line.borrow_and_update().clone();
        match line {
            Line::Up(connection) if connection.status().connected() => {
                match open(&connection, &self.shared.settings).await {
                    Ok(channel) => return Some((connection, channel)),
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

    /// Ends a channel that failed or was refused: a full quorum queue marks the channels that it refuses,
    /// and does not lift the mark when its limit is taken away. One that the broker does not even close
    /// takes its connection with it.
    async fn close(&self, connection: &Connection, channel: &Channel) {
        if !channel.status().connected() {
            return;
        }
        let limit = self.shared.settings.connect_timeout;
        let closing = channel.close(REPLY_SUCCESS, "refused".into());
        if link::answer(connection.status(), limit, closing).await.is_err() {
            let closing = connection.close(REPLY_SUCCESS, "it does not answer".into());
            let _ = link::answer(connection.status(), limit, closing).await;
        }
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

/// Opens a channel that confirms.
///
/// # Errors
///
/// What the broker or the network said.
pub async fn open(connection: &Connection, settings: &Settings) -> Result<Channel, String> {
    let opened = async {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    };
    let opened = link::answer(connection.status(), settings.connect_timeout, opened).await;
    opened.map_err(|silence| silence.to_string())?.map_err(|error: lapin::Error| fault(&error))
}

/// Tells the outbox and the metrics how a batch waits.
struct Told<'a> {
    destination: &'a Destination,
    letters: usize,
}

impl Told<'_> {
    fn failed(&self, why: String) {
        let Destination { name, shared, inbox, pending, .. } = self.destination;
        let letters = self.letters + pending.len() + inbox.len();
        shared.outbox.failed(name, why, letters);
    }
}

impl Watch for Told<'_> {
    fn waits(&self, how: Wait) {
        self.destination.shared.metrics.broker_blocked(how == Wait::Blocked);
        match how {
            Wait::InTime => {}
            Wait::Blocked => self.failed("the broker blocks publishing".to_owned()),
            Wait::Late => self.failed(CutShort::Silent.to_string()),
        }
    }
}
