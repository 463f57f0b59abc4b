//! The lines of the input as a source of jobs: as many as the flow wants, as many in flight as it may
//! have, and those that were put off when their time has come.

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
    delivery::{Back, Exits, LineDelivery},
    journal::{Entry, Journal, Lost, Record},
    loader::{LoadError, Loaded, Loader},
    reader::{InputFault, Reader, Rereadable},
    scan::{Found, Scan},
    stays::{Due, Pace, Stays},
    tally::Tally,
};
use crate::{
    input,
    ports::{Clock, Demand, Source, SystemClock},
};

/// While one job is wanted for a probe, one is given out so often at most: it may end without a call,
/// and then another one is wanted.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// Where the input cannot be read again, jobs are kept through their stays; beyond so many bytes of them
/// no more lines are read.
const KEPT_BYTES: usize = 64 << 20;

/// With so many jobs ready to be given out, no more are loaded: enough for the time that the next block
/// takes to be read and marked.
const ENOUGH: usize = 512;

/// A block that is on its way when the source ends has this long to come, so that its jobs are not in
/// doubt for nothing. A pipe may have none for hours.
const LAST_BLOCK: Duration = Duration::from_millis(250);

/// How the source ended.
#[derive(Debug)]
pub enum End {
    /// Every line has ended.
    Complete,
    /// It was stopped.
    Stopped,
    /// It could not go on.
    Failed(LoadError),
}

/// How many jobs are wanted, told from outside.
#[derive(Debug, Clone)]
pub struct Control {
    demand: watch::Sender<Demand>,
    stop: CancellationToken,
    end: Arc<Mutex<Option<End>>>,
}

impl Control {
    /// Says how many jobs are wanted.
    pub fn want(&self, demand: Demand) {
        self.demand.send_if_modified(|before| std::mem::replace(before, demand) != demand);
    }

    /// No more jobs are wanted; the source ends.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// How the source ended, if it has; to be taken once.
    #[must_use]
    pub fn take_end(&self) -> Option<End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The source of a sweep.
pub struct FileSource {
    lines: Loader,
    returns: Loader,
    ready: VecDeque<Found>,
    stays: Stays,
    pace: Pace,
    file: Option<Rereadable>,
    exits: Exits,
    backs: mpsc::Receiver<Back>,
    in_hand: usize,
    capacity: usize,
    demand: watch::Receiver<Demand>,
    /// No other job is given out for the probe that is wanted until then.
    next_probe: Option<Instant>,
    stop: CancellationToken,
    /// Why the rest of the lines cannot be read. Those before are swept all the same.
    unreadable: Option<LoadError>,
    end: Arc<Mutex<Option<End>>>,
}

/// What a source is made of.
pub struct Parts {
    /// The lines.
    pub lines: input::Feed,
    /// What is known of them.
    pub scan: Scan,
    /// How they can be read again; `None` if they cannot.
    pub file: Option<Rereadable>,
    /// Where endings are written.
    pub journal: Journal,
    /// Where they are counted.
    pub tally: Arc<Tally>,
    /// Jobs in flight at most.
    pub capacity: usize,
}

impl FileSource {
    /// The source, and the way to command it.
    #[must_use]
    pub fn new(parts: Parts) -> (Self, Control) {
        let capacity = parts.capacity.max(1);
        // One more for a probe.
        let (back, backs) = mpsc::channel(capacity + 1);
        let (wanted, demand) = watch::channel(Demand::All);
        let control =
            Control { demand: wanted, stop: CancellationToken::new(), end: Arc::default() };
        let keep = parts.file.is_none();
        let lines = Reader::Lines { feed: parts.lines, scan: parts.scan, file: parts.file.clone() };
        let source = Self {
            lines: Loader::new(lines),
            returns: Loader::default(),
            ready: VecDeque::new(),
            stays: Stays::default(),
            pace: Pace::default(),
            file: parts.file,
            exits: Exits { journal: parts.journal, tally: parts.tally, back, keep },
            backs,
            in_hand: 0,
            capacity,
            demand,
            next_probe: None,
            stop: control.stop.clone(),
            unreadable: None,
            end: Arc::clone(&control.end),
        };
        (source, control)
    }

    /// Whether a job may be given out now.
    fn wanted(&self) -> bool {
        match *self.demand.borrow() {
            Demand::All => self.in_hand < self.capacity,
            // What is in flight waits for its own next attempt, so a probe may be one more.
            Demand::One => {
                self.in_hand <= self.capacity
                    && self.next_probe.is_none_or(|next| next <= Instant::now())
            }
            Demand::None | Demand::Never => false,
        }
    }

    fn give_out(&mut self, found: Found) -> LineDelivery {
        self.next_probe =
            (*self.demand.borrow() == Demand::One).then(|| Instant::now() + PROBE_EVERY);
        self.in_hand += 1;
        self.exits.tally.taken_up(found.line);
        LineDelivery::new(found, self.exits.clone())
    }

    /// Begins to load what will be needed soon.
    fn load(&mut self) {
        if self.ready.len() < ENOUGH && self.stays.kept_bytes() < KEPT_BYTES {
            self.lines.load(&self.exits.journal);
        }
        let now = Instant::now();
        if self.next_return().is_some_and(|at| at <= now) {
            let Due { to_read, kept } = self.stays.due(now);
            self.returns = Loader::new(match &self.file {
                Some(file) => Reader::Again(file.clone(), to_read),
                None => Reader::Kept(kept),
            });
            self.returns.load(&self.exits.journal);
        }
    }

    /// When jobs that were put off may be loaded; `None` while there are none, or no room.
    fn next_return(&self) -> Option<Instant> {
        let room = match *self.demand.borrow() {
            Demand::All => self.ready.len() < ENOUGH,
            // A probe needs one job, and what is loaded for it is in doubt after a crash.
            Demand::One => self.ready.is_empty(),
            Demand::None | Demand::Never => false,
        };
        let first = self.stays.first().filter(|_| room && self.returns.has_ended())?;
        Some(self.pace.not_before().map_or(first, |paced| first.max(paced)))
    }

    fn is_complete(&self) -> bool {
        self.in_hand == 0
            && self.ready.is_empty()
            && self.stays.is_empty()
            && self.lines.has_ended()
            && self.returns.has_ended()
    }

    /// Waits for whatever comes next.
    async fn event(&mut self) -> Result<(), End> {
        let lost = self.exits.journal.lost();
        let next_return = self.next_return();
        let next_probe = self.next_probe;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(End::Stopped),
            () = lost.cancelled() => return Err(End::Failed(Lost.into())),
            back = self.backs.recv() => back.into_iter().for_each(|back| self.take_back(back)),
            changed = self.demand.changed() => {
                // Whoever steered the demand is gone, and the sweep with it.
                changed.map_err(|_| End::Stopped)?;
                self.next_probe = None;
            }
            loaded = self.lines.loaded() => match loaded {
                Ok(loaded) => self.extend(loaded),
                Err(fault @ LoadError::Input(InputFault::Read(_))) => self.unreadable = Some(fault),
                Err(fault) => return Err(End::Failed(fault)),
            },
            loaded = self.returns.loaded() => {
                let loaded = loaded.map_err(End::Failed)?;
                self.returns = Loader::default();
                self.pace.read(loaded.as_ref().map(|loaded| loaded.took).unwrap_or_default());
                self.extend(loaded);
            }
            () = at(next_return) => {}
            () = at(next_probe) => self.next_probe = None,
        }
        Ok(())
    }

    fn take_back(&mut self, back: Back) {
        self.in_hand = self.in_hand.saturating_sub(1);
        if let Back::Again(stay) = back {
            self.stays.add(stay);
        }
    }

    fn extend(&mut self, loaded: Option<Loaded>) {
        self.ready.extend(loaded.into_iter().flat_map(|loaded| loaded.jobs));
    }

    /// Takes back the journal's word that jobs may be called again, of those that were not.
    async fn leave(&mut self) {
        for loader in [&mut self.lines, &mut self.returns] {
            if loader.is_loading()
                && let Ok(Ok(Some(last))) = timeout(LAST_BLOCK, loader.loaded()).await
            {
                self.ready.extend(last.jobs);
            }
        }
        let at = SystemClock.now();
        let reopened = self.ready.drain(..).filter(|found| found.reopened);
        let entries: Vec<Record> = reopened
            .map(|Found { line, key, history, in_doubt, .. }| {
                Record::Entry(Entry::put_back(line, key, history.redelivered(in_doubt), at))
            })
            .collect();
        if !entries.is_empty() {
            // If it fails, the lines are in doubt, which is safe.
            let _ = self.exits.journal.write(&entries).await;
        }
    }
}

/// Waits until then, or for ever.
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
            self.exits.tally.waiting(self.stays.len());
            if self.stop.is_cancelled() {
                break End::Stopped;
            }
            if self.wanted()
                && let Some(found) = self.ready.pop_front()
            {
                return Some(self.give_out(found));
            }
            if self.is_complete() {
                break self.unreadable.take().map_or(End::Complete, End::Failed);
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
