//! Applies an action, such as a replay, to selected dead letters, in rounds. Each round browses the whole queue and
//! finds the messages still to do. It processes as many as it has time for, and requeues the rest.
//!
//! A single browse would not do: the broker requeues messages that are held for too long (`consumer_timeout`, 30
//! minutes by default). The last round finds nothing left. That proves that the acks arrived: a quorum queue can
//! lose acks if the connection ends right behind them.

use std::{collections::VecDeque, pin::pin, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    batch_action::{ActionError, BatchAction, BatchResult},
    batch_budget::BatchBudget,
    browse::{Browse, BrowseMode},
    identity::MessageIdentity,
    message::BrowsedMessage,
    queue::{BrowseError, BrowseProgress, BrowseStep, DeadLetterQueue},
    selected_set::{Membership, SelectedSet},
    throttle::Throttle,
};
use crate::domain::Schedule;

/// The longest that a round holds messages, apart from reading the rest of the queue and the batch under way.
const LONGEST_ROUND: Duration = Duration::from_secs(300);

/// Waiting messages of more bytes than this are processed, however few they are.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A longer batch ends the reading: the broker closes a connection that is not read for 30 seconds.
const READER_WAITS: Duration = Duration::from_secs(5);

/// The most rounds that fail in a row without progress.
const MAX_FAILURES: u32 = 5;

/// The waits between rounds that failed.
const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(200),
    multiplier: 2.0,
    max: Duration::from_secs(5),
    jitter: 0.5,
};

/// An action on selected messages, and its results so far.
#[derive(Debug)]
pub struct BatchRun<A> {
    /// The messages, and which of them are done.
    pub selected: SelectedSet<MessageIdentity>,
    pub action: A,
    /// The messages that the action refused in the latest round.
    pub refused: u64,
    throttle: Throttle,
}

impl<A: BatchAction> BatchRun<A> {
    /// Processes at most `rate` messages a second; any number if it is `None`.
    pub fn new(selected: SelectedSet<MessageIdentity>, action: A, rate: Option<f64>) -> Self {
        Self { selected, action, refused: 0, throttle: Throttle::new(rate, A::BATCH) }
    }

    /// Processes all selected messages that are still in the queue. Returns an error if rounds fail repeatedly, or
    /// if `stop` is cancelled. `selected` says in any case which messages are done.
    pub async fn run(
        &mut self,
        queue: &mut DeadLetterQueue,
        progress: &BrowseProgress,
        stop: &CancellationToken,
    ) -> Result<(), ActionError> {
        progress.total.set(self.selected.left());
        let mut backoff = RETRY.start();
        let mut failures = 0;
        while !stop.is_cancelled() {
            let before = self.selected.finished();
            match self.round(queue, progress, stop).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(ActionError::Interrupted) => break,
                Err(error) => {
                    queue.disconnect().await;
                    if self.selected.finished() > before {
                        failures = 0;
                        backoff.reset();
                    }
                    failures += 1;
                    if !error.is_transient() || failures > MAX_FAILURES {
                        return Err(error);
                    }
                    tokio::select! {
                        () = sleep(backoff.next(crate::ports::jitter())) => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
        }
        Err(ActionError::Interrupted)
    }

    /// One round. Returns the number of messages that it found to process, or to ack once more.
    async fn round(
        &mut self,
        queue: &mut DeadLetterQueue,
        progress: &BrowseProgress,
        stop: &CancellationToken,
    ) -> Result<u64, ActionError> {
        let begun = async {
            if self.selected.left() > 0 {
                // A slow rate makes this wait long, so it comes before any message is held.
                self.throttle.permitted(1).await;
            }
            queue.browse(BrowseMode::Ack).await
        };
        let browse = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(ActionError::Interrupted),
            browse = begun => browse?,
        };
        self.refused = 0;
        let mut round = ActionRound {
            browse,
            reads: true,
            waiting: VecDeque::new(),
            budget: BatchBudget::new(self.throttle.permits_within(LONGEST_ROUND)),
            found: 0,
            end: Instant::now() + LONGEST_ROUND,
            run: self,
            progress,
        };
        let ended = match round.read(stop).await {
            Ok(()) => round.process_waiting(stop).await,
            failed => failed,
        };
        let ActionRound { browse, found, .. } = round;
        if !matches!(ended, Err(ActionError::Browse(_))) {
            progress.step.set(BrowseStep::Returning);
            browse.close().await;
            progress.step.set(BrowseStep::Working);
        }
        ended.map(|()| found)
    }
}

/// A round in progress.
struct ActionRound<'a, A> {
    browse: Browse<'a>,
    /// Whether messages still arrive.
    reads: bool,
    /// The messages that wait for their batch. Only the last one keeps its charge, and only while it may go at once:
    /// then a large one is not joined by the next.
    waiting: VecDeque<(MessageIdentity, BrowsedMessage)>,
    budget: BatchBudget,
    found: u64,
    end: Instant,
    run: &'a mut BatchRun<A>,
    progress: &'a BrowseProgress,
}

impl<A: BatchAction> ActionRound<'_, A> {
    /// Reads the queue, and meanwhile processes messages that need no wait: the broker must not wait for the reader.
    /// Messages beyond the budget, and those behind a long batch, are left to the next round.
    async fn read(&mut self, stop: &CancellationToken) -> Result<(), ActionError> {
        let mut seen = self.run.selected.none_seen();
        while self.reads {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                next = self.browse.next() => next?,
            };
            let Some(message) = next else { break };
            let identity = message.identity();
            match self.run.selected.membership(&mut seen, &identity) {
                Membership::NotSelected => {}
                Membership::Done => {
                    self.found += 1;
                    self.browse.ack(&[message.tag()]).await?;
                }
                Membership::Left if self.run.action.refuses(&message) => self.run.refused += 1,
                Membership::Left => {
                    self.found += 1;
                    if Instant::now() < self.end && self.budget.reserve(message.size()) {
                        self.waiting.push_back((identity, message));
                    } else {
                        // Its bytes must not count while a batch is published.
                        drop(message);
                    }
                    if self.waiting.len() >= A::BATCH || self.budget.bytes() >= BATCH_BYTES {
                        let most = self.run.throttle.permitted_now(self.waiting.len());
                        self.process_batch(most).await?;
                    }
                }
            }
            // A waiting message must not keep the next one from arriving.
            if let Some((_, waiting)) = self.waiting.back_mut() {
                drop(waiting.take_charge());
            }
            let (seen, expected) = (self.browse.seen(), self.browse.expected());
            self.progress.step.set(BrowseStep::Reading { seen, expected });
        }
        self.progress.step.set(BrowseStep::Working);
        self.reads = false;
        Ok(self.browse.hold().await?)
    }

    /// Processes the waiting messages, batch by batch.
    async fn process_waiting(&mut self, stop: &CancellationToken) -> Result<(), ActionError> {
        while !self.waiting.is_empty() && Instant::now() < self.end {
            let most = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                most = self.run.throttle.permitted(self.waiting.len()) => most,
            };
            self.process_batch(most).await?;
        }
        Ok(())
    }

    /// Processes one batch of at most `most` messages, and acks those that are done.
    async fn process_batch(&mut self, most: usize) -> Result<(), ActionError> {
        let (mut batch, mut keys, mut bytes) = (Vec::new(), Vec::new(), 0);
        while batch.len() < most && bytes < BATCH_BYTES {
            let Some((identity, message)) = self.waiting.pop_front() else { break };
            self.budget.release(message.size());
            bytes += message.size();
            keys.push((message.tag(), identity));
            batch.push(message);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.run.throttle.spend(batch.len());
        let (BatchResult { done, refused }, held) = self.apply(batch).await?;
        let done = keys.into_iter().zip(done).filter(|(_, done)| *done);
        let (tags, identities): (Vec<_>, Vec<_>) = done.map(|(key, _)| key).unzip();
        // Before the ack: a message that returns because its ack was lost must not be processed again.
        for identity in &identities {
            self.run.selected.mark_done(identity);
        }
        held?;
        self.browse.ack(&tags).await?;
        self.progress.done.set(self.run.selected.finished());
        refused.map_or(Ok(()), |why| Err(ActionError::Refused(why)))
    }

    /// Applies the action. If that takes long during the reading, the reading ends and the messages stay held. The
    /// reason is that a broker that blocks publishing closes a connection that is not read. The second result says
    /// how the reading ended. Finished messages count in any case.
    async fn apply(
        &mut self,
        mut batch: Vec<BrowsedMessage>,
    ) -> Result<(BatchResult, Result<(), BrowseError>), ActionError> {
        let charges: Vec<_> = batch.iter_mut().map(BrowsedMessage::take_charge).collect();
        let mut applying = pin!(self.run.action.apply(batch));
        if !self.reads {
            return Ok((applying.await?, Ok(())));
        }
        if let Ok(result) = timeout(READER_WAITS, applying.as_mut()).await {
            return Ok((result?, Ok(())));
        }
        self.reads = false;
        // Messages that still arrive are read meanwhile. They must not wait for these bytes.
        drop(charges);
        let (held, result) = tokio::join!(self.browse.hold(), applying);
        Ok((result?, held))
    }
}
