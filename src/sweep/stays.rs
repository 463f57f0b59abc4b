//! Jobs that wait for their time: what retry queues are to a broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::scan::Found;
use crate::domain::{History, JobKey};

/// A job that was put off.
pub struct Stay {
    /// Its line.
    pub line: u64,
    /// When it may come again.
    pub until: Instant,
    /// What happened to it so far.
    pub history: History,
    /// The job itself, where it cannot be read again.
    pub kept: Option<Kept>,
}

/// A job that is kept.
pub struct Kept {
    /// What it is known again by.
    pub key: JobKey,
    /// The job.
    pub body: Vec<u8>,
}

impl Kept {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }
}

/// So many come again at once at most: their bodies are in memory from then on.
const AT_ONCE: usize = 1024;

/// The jobs that wait, by when they may come again. Of those that can be read again from their file it
/// holds some sixty bytes each.
#[derive(Default)]
pub struct Stays {
    by_time: BTreeSet<(Instant, u64)>,
    jobs: BTreeMap<u64, (History, Option<Kept>)>,
    kept_bytes: usize,
}

impl Stays {
    /// One more.
    pub fn add(&mut self, stay: Stay) {
        self.by_time.insert((stay.until, stay.line));
        self.kept_bytes += stay.kept.as_ref().map_or(0, Kept::bytes);
        self.jobs.insert(stay.line, (stay.history, stay.kept));
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The bytes of those that are kept.
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// When the first of them may come again.
    #[must_use]
    pub fn first(&self) -> Option<Instant> {
        self.by_time.first().map(|(until, _)| *until)
    }

    /// Takes out those whose time has come, the longest waiting first, no more than a block of them.
    pub fn due(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        while due.len() < AT_ONCE
            && self.first().is_some_and(|until| until <= now)
            && let Some((_, line)) = self.by_time.pop_first()
        {
            match self.jobs.remove(&line) {
                Some((history, Some(kept))) => {
                    self.kept_bytes = self.kept_bytes.saturating_sub(kept.bytes());
                    let Kept { key, body } = kept;
                    due.kept.push(Found::again(line, key, body, history));
                }
                Some((history, None)) => {
                    due.to_read.insert(line, history);
                }
                None => {}
            }
        }
        due
    }
}

/// Jobs whose time has come.
#[derive(Default)]
pub struct Due {
    /// Those at hand.
    pub kept: Vec<Found>,
    /// The lines of those that have to be read again.
    pub to_read: BTreeMap<u64, History>,
}

impl Due {
    fn len(&self) -> usize {
        self.kept.len() + self.to_read.len()
    }
}

/// After the file was read again it rests for so many times as long: each time reads all of it up to the
/// last line that is wanted.
const REST: u32 = 4;

/// When the file may be read again.
#[derive(Debug, Default)]
pub struct Pace(Option<Instant>);

impl Pace {
    /// When it may be, if not at once.
    #[must_use]
    pub const fn not_before(&self) -> Option<Instant> {
        self.0
    }

    /// It was read, and that took so long.
    pub fn read(&mut self, took: Duration) {
        self.0 = Some(Instant::now() + took * REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Job, JobDefaults};

    fn kept(bytes: usize) -> Kept {
        let job = Job::parse(br#"{"refresh_token":"t"}"#, &JobDefaults::default()).unwrap();
        Kept { key: job.key(), body: vec![b'x'; bytes] }
    }

    fn stay(line: u64, until: Instant, kept: Option<Kept>) -> Stay {
        Stay { line, until, history: History { attempts: 7, ..History::default() }, kept }
    }

    #[tokio::test(start_paused = true)]
    async fn those_whose_time_has_come_leave_the_longest_waiting_first() {
        let mut stays = Stays::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        for (line, until) in [(5, now), (9, later), (7, now)] {
            stays.add(stay(line, until, None));
        }
        assert_eq!((stays.len(), stays.first()), (3, Some(now)));
        let due = stays.due(now);
        assert_eq!(due.to_read.keys().copied().collect::<Vec<_>>(), [5, 7]);
        assert_eq!(due.to_read[&5].attempts, 7);
        assert_eq!((stays.len(), stays.first()), (1, Some(later)));
        assert!(stays.due(now).to_read.is_empty());
        assert_eq!(stays.due(later).to_read.len(), 1);
        assert!(stays.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_counted_and_no_more_leave_at_once_than_a_block() {
        let mut stays = Stays::default();
        let now = Instant::now();
        let jobs = AT_ONCE as u64 + 1;
        for line in 0..jobs {
            stays.add(stay(line, now, Some(kept(10))));
        }
        assert!(stays.kept_bytes() > 10 * AT_ONCE);
        assert_eq!(stays.due(now).kept.len(), AT_ONCE);
        assert_eq!(stays.kept_bytes(), kept(10).bytes());
        assert_eq!(stays.due(now).kept.len(), 1);
        assert_eq!(stays.kept_bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn reading_again_is_paced_by_how_long_it_takes() {
        let mut pace = Pace::default();
        assert_eq!(pace.not_before(), None);
        pace.read(Duration::from_secs(2));
        assert_eq!(pace.not_before(), Some(Instant::now() + Duration::from_secs(2) * REST));
    }
}
