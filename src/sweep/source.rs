//! Delivers the lines of the input: as many as the flow wants, within the capacity, and delayed jobs when
//! they are due.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    counters::SweepCounters,
    delay_queue::{DelayQueue, DueJobs, RereadPause},
    delivery::{DeliveryEnd, LineDelivery, SweepTargets},
    journal::{Journal, JournalEntry, JournalLost, JournalRecord, LineJob},
    loader::{LoadError, Loaded, Loader},
    reader::{BlockReader, InputFault, Rereadable},
    scan::{Scan, SweepJob},
};
use crate::{
    input::Feed,
    ports::{Clock, Demand, Source, SystemClock},
};

/// The minimum time between two jobs while the flow wants one job for a probe. A second job is needed if the
/// first one ends without a call.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// If the input cannot be read again, delayed jobs are kept in memory. Above this many bytes, no more lines are read.
const KEPT_BYTES: usize = 64 << 20;

/// With this many ready jobs, no more are loaded. They last for as long as the next block takes.
const ENOUGH: usize = 512;

/// At the end, the longest wait for a block in progress, so that its jobs are not in doubt. A pipe may be
/// idle for hours.
const LAST_BLOCK: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub enum SourceEnd {
    /// Every line has ended.
    Complete,
    Stopped,
    Failed(LoadError),
}

#[derive(Debug, Clone)]
pub struct SweepControl {
    demand: watch::Sender<Demand>,
    stop: CancellationToken,
    end: Arc<Mutex<Option<SourceEnd>>>,
}

impl SweepControl {
    /// Sets how many jobs are wanted.
    pub fn want(&self, demand: Demand) {
        self.demand.send_if_modified(|before| std::mem::replace(before, demand) != demand);
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Returns the end of the source, if it has ended. Returns it only once.
    pub fn take_end(&self) -> Option<SourceEnd> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub struct FileSource {
    lines: Loader,
    returns: Loader,
    ready: VecDeque<SweepJob>,
    delayed: DelayQueue,
    pace: RereadPause,
    file: Option<Rereadable>,
    targets: SweepTargets,
    backs: mpsc::Receiver<DeliveryEnd>,
    in_flight: usize,
    capacity: usize,
    demand: watch::Receiver<Demand>,
    /// The time before which no further job is delivered for a probe.
    next_probe: Option<Instant>,
    stop: CancellationToken,
    /// The error of reading the rest of the lines. Earlier lines are still swept.
    unreadable: Option<LoadError>,
    end: Arc<Mutex<Option<SourceEnd>>>,
}

impl FileSource {
    /// At most `capacity` jobs are in flight. `file` is the input, if it can be read again.
    pub fn new(
        feed: Feed,
        scan: Scan,
        file: Option<Rereadable>,
        journal: Journal,
        counters: Arc<SweepCounters>,
        capacity: usize,
    ) -> (Self, SweepControl) {
        let capacity = capacity.max(1);
        // One more for a probe.
        let (back, backs) = mpsc::channel(capacity + 1);
        let (wanted, demand) = watch::channel(Demand::All);
        let control =
            SweepControl { demand: wanted, stop: CancellationToken::new(), end: Arc::default() };
        let keep = file.is_none();
        let token_hash = scan.token_hash();
        let lines = BlockReader::Lines { feed, scan, file: file.clone() };
        let source = Self {
            lines: Loader::new(lines),
            returns: Loader::default(),
            ready: VecDeque::new(),
            delayed: DelayQueue::default(),
            pace: RereadPause::default(),
            file,
            targets: SweepTargets { journal, counters, back, keep, token_hash },
            backs,
            in_flight: 0,
            capacity,
            demand,
            next_probe: None,
            stop: control.stop.clone(),
            unreadable: None,
            end: Arc::clone(&control.end),
        };
        (source, control)
    }

    /// Whether a job may be delivered now.
    fn wanted(&self) -> bool {
        match *self.demand.borrow() {
            Demand::All => self.in_flight < self.capacity,
            // Jobs in flight wait for their own next attempt, so a probe is one more.
            Demand::One => {
                self.in_flight <= self.capacity
                    && self.next_probe.is_none_or(|next| next <= Instant::now())
            }
            Demand::None | Demand::Never => false,
        }
    }

    fn give_out(&mut self, job: SweepJob) -> LineDelivery {
        self.next_probe =
            (*self.demand.borrow() == Demand::One).then(|| Instant::now() + PROBE_EVERY);
        self.in_flight += 1;
        let mut counts = self.targets.counters.lock();
        counts.started = counts.started.max(job.line);
        drop(counts);
        LineDelivery::new(job, self.targets.clone())
    }

    /// Begins to load jobs that are needed soon.
    fn load(&mut self) {
        if self.ready.len() < ENOUGH && self.delayed.kept_bytes() < KEPT_BYTES {
            self.lines.load(&self.targets.journal);
        }
        let now = Instant::now();
        if self.next_return().is_some_and(|at| at <= now) {
            let DueJobs { to_read, kept } = self.delayed.due(now);
            self.returns = Loader::new(match &self.file {
                Some(file) => BlockReader::Again(file.clone(), to_read),
                None => BlockReader::Kept(kept),
            });
            self.returns.load(&self.targets.journal);
        }
    }

    /// Returns when delayed jobs may be loaded; `None` if there are none, or no room.
    fn next_return(&self) -> Option<Instant> {
        let room = match *self.demand.borrow() {
            Demand::All => self.ready.len() < ENOUGH,
            // A probe needs one job, and a loaded job is in doubt after a crash.
            Demand::One => self.ready.is_empty(),
            Demand::None | Demand::Never => false,
        };
        let first = self.delayed.first().filter(|_| room && self.returns.has_ended())?;
        Some(self.pace.not_before().map_or(first, |paced| first.max(paced)))
    }

    fn is_complete(&self) -> bool {
        self.in_flight == 0
            && self.ready.is_empty()
            && self.delayed.is_empty()
            && self.lines.has_ended()
            && self.returns.has_ended()
    }

    /// Waits for the next event.
    async fn event(&mut self) -> Result<(), SourceEnd> {
        let lost = self.targets.journal.lost();
        let next_return = self.next_return();
        let next_probe = self.next_probe;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(SourceEnd::Stopped),
            () = lost.cancelled() => return Err(SourceEnd::Failed(JournalLost.into())),
            back = self.backs.recv() => back.into_iter().for_each(|back| self.take_back(back)),
            changed = self.demand.changed() => {
                // The task that sets the demand is gone, so the sweep ends.
                changed.map_err(|_| SourceEnd::Stopped)?;
                self.next_probe = None;
            }
            loaded = self.lines.loaded() => match loaded {
                Ok(loaded) => self.extend(loaded),
                Err(fault @ LoadError::Input(InputFault::Read(_))) => self.unreadable = Some(fault),
                Err(fault) => return Err(SourceEnd::Failed(fault)),
            },
            loaded = self.returns.loaded() => {
                let loaded = loaded.map_err(SourceEnd::Failed)?;
                self.returns = Loader::default();
                self.pace.read(loaded.as_ref().map(|loaded| loaded.took).unwrap_or_default());
                self.extend(loaded);
            }
            () = at(next_return) => {}
            () = at(next_probe) => self.next_probe = None,
        }
        Ok(())
    }

    fn take_back(&mut self, back: DeliveryEnd) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let DeliveryEnd::Again(parked) = back {
            self.delayed.add(parked);
        }
    }

    fn extend(&mut self, loaded: Option<Loaded>) {
        self.ready.extend(loaded.into_iter().flat_map(|loaded| loaded.jobs));
    }

    /// Records that reopened jobs were not called.
    async fn leave(&mut self) {
        for loader in [&mut self.lines, &mut self.returns] {
            if loader.is_loading()
                && let Ok(Ok(Some(last))) = timeout(LAST_BLOCK, loader.loaded()).await
            {
                self.ready.extend(last.jobs);
            }
        }
        let at = SystemClock.now();
        let hash = self.targets.token_hash;
        let reopened = self.ready.drain(..).filter(|job| job.reopened);
        let entries: Vec<JournalRecord> = reopened
            .map(|SweepJob { line, job, history, in_doubt, .. }| {
                JournalRecord::Entry(JournalEntry::put_back(
                    line,
                    LineJob::of(&job, hash),
                    history.redelivered(in_doubt),
                    at,
                ))
            })
            .collect();
        if !entries.is_empty() {
            // If this fails, the lines are in doubt, which is safe.
            let _ = self.targets.journal.write(&entries).await;
        }
    }
}

/// Waits until then, or forever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl Source for FileSource {
    type Delivery = LineDelivery;

    async fn next(&mut self) -> Option<LineDelivery> {
        let end = loop {
            while let Ok(back) = self.backs.try_recv() {
                self.take_back(back);
            }
            self.load();
            self.targets.counters.lock().delayed = self.delayed.len();
            if self.stop.is_cancelled() {
                break SourceEnd::Stopped;
            }
            if self.wanted()
                && let Some(job) = self.ready.pop_front()
            {
                return Some(self.give_out(job));
            }
            if self.is_complete() {
                break self.unreadable.take().map_or(SourceEnd::Complete, SourceEnd::Failed);
            }
            if let Err(end) = self.event().await {
                break end;
            }
        };
        self.leave().await;
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
        None
    }
}

#[cfg(test)]
mod tests;
