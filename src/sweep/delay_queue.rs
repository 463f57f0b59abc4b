//! Delays jobs, as the retry queues of a broker do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::scan::SweepJob;
use crate::domain::{History, Job};

pub struct ParkedJob {
    pub line: u64,
    /// When it is due.
    pub until: Instant,
    pub history: History,
    /// The job itself, if the input cannot be read again.
    pub kept: Option<Arc<Job>>,
}

/// Returns the memory of a kept job, in bytes.
fn bytes(job: &Job) -> usize {
    let secret = job.carried_client_secret.as_ref().map(ExposeSecret::expose_secret);
    let texts = [Some(job.token.expose_secret()), secret, job.username.as_deref()];
    let names = [Some(&*job.audience), job.client_id.as_deref()];
    let texts = texts.into_iter().chain(names).flatten();
    size_of::<Job>() + texts.map(str::len).sum::<usize>()
}

/// The maximum number of due jobs at once: all of them are in memory from then on.
const AT_ONCE: usize = 1024;

type DelayedJob = (History, Option<Arc<Job>>);

/// Delayed jobs by due time and line. A job that can be read again takes some sixty bytes.
#[derive(Default)]
pub struct DelayQueue {
    jobs: BTreeMap<(Instant, u64), DelayedJob>,
    kept_bytes: usize,
}

impl DelayQueue {
    pub fn add(&mut self, parked: ParkedJob) {
        self.kept_bytes += parked.kept.as_deref().map_or(0, bytes);
        self.jobs.insert((parked.until, parked.line), (parked.history, parked.kept));
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub const fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// When the first job is due.
    pub fn first(&self) -> Option<Instant> {
        self.jobs.first_key_value().map(|((until, _), _)| *until)
    }

    /// Removes due jobs, the longest waiting first, at most [`AT_ONCE`].
    pub fn due(&mut self, now: Instant) -> DueJobs {
        let mut due = DueJobs::default();
        while due.len() < AT_ONCE
            && self.first().is_some_and(|until| until <= now)
            && let Some(((_, line), (history, kept))) = self.jobs.pop_first()
        {
            if let Some(kept) = kept {
                self.kept_bytes = self.kept_bytes.saturating_sub(bytes(&kept));
                due.kept.push(SweepJob::again(line, kept, history));
            } else {
                due.to_read.insert(line, history);
            }
        }
        due
    }
}

#[derive(Default)]
pub struct DueJobs {
    pub kept: Vec<SweepJob>,
    /// The lines to read again.
    pub to_read: BTreeMap<u64, History>,
}

impl DueJobs {
    fn len(&self) -> usize {
        self.kept.len() + self.to_read.len()
    }
}

/// After the file was read again, the pause lasts this many times as long: each time reads the file up to the
/// last wanted line.
const REST: u32 = 4;

/// The pause before the file may be read again.
#[derive(Debug, Default)]
pub struct RereadPause(Option<Instant>);

impl RereadPause {
    pub const fn not_before(&self) -> Option<Instant> {
        self.0
    }

    /// Starts the pause after a read of this duration.
    pub fn read(&mut self, took: Duration) {
        self.0 = Some(Instant::now() + took * REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobDefaults;

    fn kept(token_bytes: usize) -> Arc<Job> {
        let body = format!(r#"{{"refresh_token":"{}"}}"#, "x".repeat(token_bytes));
        Arc::new(Job::parse(body.as_bytes(), &JobDefaults::default()).unwrap())
    }

    fn parked(line: u64, until: Instant, kept: Option<Arc<Job>>) -> ParkedJob {
        ParkedJob { line, until, history: History { attempts: 7, ..History::default() }, kept }
    }

    #[tokio::test(start_paused = true)]
    async fn those_whose_time_has_come_leave_the_longest_waiting_first() {
        let mut delayed = DelayQueue::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        for (line, until) in [(5, now), (9, later), (7, now)] {
            delayed.add(parked(line, until, None));
        }
        assert_eq!((delayed.len(), delayed.first()), (3, Some(now)));
        let due = delayed.due(now);
        assert_eq!(due.to_read.keys().copied().collect::<Vec<_>>(), [5, 7]);
        assert_eq!(due.to_read[&5].attempts, 7);
        assert_eq!((delayed.len(), delayed.first()), (1, Some(later)));
        assert!(delayed.due(now).to_read.is_empty());
        assert_eq!(delayed.due(later).to_read.len(), 1);
        assert!(delayed.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn kept_jobs_are_counted_and_at_most_a_block_leaves_at_once() {
        let mut delayed = DelayQueue::default();
        let now = Instant::now();
        let jobs = AT_ONCE as u64 + 1;
        for line in 0..jobs {
            delayed.add(parked(line, now, Some(kept(10))));
        }
        assert!(delayed.kept_bytes() > 10 * AT_ONCE);
        assert_eq!(delayed.due(now).kept.len(), AT_ONCE);
        assert_eq!(delayed.kept_bytes(), bytes(&kept(10)));
        assert_eq!(delayed.due(now).kept.len(), 1);
        assert_eq!(delayed.kept_bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn reading_again_is_paced_by_how_long_it_takes() {
        let mut pace = RereadPause::default();
        assert_eq!(pace.not_before(), None);
        pace.read(Duration::from_secs(2));
        assert_eq!(pace.not_before(), Some(Instant::now() + Duration::from_secs(2) * REST));
    }
}
