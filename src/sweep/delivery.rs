//! A job of a sweep in flight. Its settlement is an entry in the journal.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    counters::SweepCounters,
    delay_queue::ParkedJob,
    journal::{Journal, JournalEntry, JournalRecord, LineJob, LineOutcome},
    scan::SweepJob,
};
use crate::{
    domain::{
        History, InvalidJob, Job, JobDefaults, JobRecord, Lane, MessageMetadata, Outcome, TokenHash,
    },
    ports::{Clock, Delivery, Settled, SystemClock},
};

/// The message that each delivery sends to the source, once.
pub enum DeliveryEnd {
    /// It is settled, or stays unsettled in this run.
    Over,
    /// The job is delayed.
    Again(ParkedJob),
}

/// The parts that all deliveries share.
#[derive(Clone)]
pub struct SweepTargets {
    pub journal: Journal,
    pub counters: Arc<SweepCounters>,
    /// It has room for every delivery in flight.
    pub back: mpsc::Sender<DeliveryEnd>,
    /// Whether delayed jobs stay in memory, because the input cannot be read again.
    pub keep: bool,
    /// How entries name tokens.
    pub token_hash: TokenHash,
}

pub struct LineDelivery {
    metadata: MessageMetadata,
    job: SweepJob,
    targets: SweepTargets,
    /// The source has not got its [`DeliveryEnd`] yet.
    in_flight: bool,
}

/// Shows only the line: the job holds a token.
impl fmt::Debug for LineDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineDelivery").field("line", &self.job.line).finish_non_exhaustive()
    }
}

impl LineDelivery {
    pub const fn new(job: SweepJob, targets: SweepTargets) -> Self {
        let metadata = MessageMetadata {
            // A sweep belongs to the bulk lane: no person waits for a single job.
            lane: Lane::Bulk,
            message_id: None,
            published_at: None,
            redelivered: job.in_doubt,
            trace: None,
            history: job.history,
        };
        Self { metadata, job, targets, in_flight: true }
    }

    /// Returns the job as it is delayed, if the settlement delays it.
    fn parked(&self, outcome: &Outcome, history: History) -> Option<ParkedJob> {
        let delay = match outcome {
            Outcome::Done(_) | Outcome::DeadLettered(_) => return None,
            Outcome::Parked(delay) => *delay,
            // The flow decides when it starts again.
            Outcome::Requeued => Duration::ZERO,
        };
        let kept = self.targets.keep.then(|| Arc::clone(&self.job.job));
        Some(ParkedJob { line: self.job.line, until: Instant::now() + delay, history, kept })
    }

    fn count(&self, entry: &JournalEntry) {
        let History { attempts, .. } = entry.history;
        let before = self.metadata.history.attempts;
        let mut counts = self.targets.counters.lock();
        counts.called(attempts.saturating_sub(before), before);
        if let Some(outcome) = LineOutcome::of(entry) {
            counts.ended(outcome);
        }
    }

    /// Notifies the source, which waits for every delivery.
    fn tell(&mut self, back: DeliveryEnd) {
        self.in_flight = false;
        // Without the source there is no sweep.
        let _ = self.targets.back.try_send(back);
    }
}

impl Delivery for LineDelivery {
    fn metadata(&self) -> &MessageMetadata {
        &self.metadata
    }

    /// The job was read with the same defaults.
    fn job(&self, _: &JobDefaults) -> Result<Arc<Job>, InvalidJob> {
        Ok(Arc::clone(&self.job.job))
    }

    fn lost(&self) -> CancellationToken {
        self.targets.journal.lost()
    }

    /// The journal is the record, so there is no event.
    async fn settle(
        mut self,
        outcome: &Outcome,
        history: &History,
        _: Option<&JobRecord>,
    ) -> Settled {
        let now = SystemClock.now();
        let job = LineJob::of(&self.job.job, self.targets.token_hash);
        let entry = JournalEntry::of(self.job.line, job, outcome, history, now);
        let entry = JournalRecord::Entry(entry);
        if self.targets.journal.write(std::slice::from_ref(&entry)).await.is_err() {
            return Settled::Abandoned;
        }
        if let JournalRecord::Entry(entry) = &entry {
            self.count(entry);
        }
        if let Outcome::DeadLettered(letter) = outcome {
            self.targets.counters.failures.failed(self.job.line, letter.reason, &letter.detail);
        }
        match self.parked(outcome, *history) {
            None => {
                self.tell(DeliveryEnd::Over);
                Settled::Done
            }
            Some(parked) => {
                self.tell(DeliveryEnd::Again(parked));
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
        // Its entry may be on its way to the disk. Another delivery could write a second entry after it, a
        // rejection after a proof. So the line is left to the next run.
        if self.in_flight {
            self.targets.counters.lock().unsettled += 1;
            self.tell(DeliveryEnd::Over);
        }
    }
}
