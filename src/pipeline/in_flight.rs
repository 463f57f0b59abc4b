//! The jobs in flight and their age. Operators watch the age of the oldest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The jobs in flight, the oldest first.
#[derive(Debug, Default)]
pub(super) struct InFlightJobs(Mutex<NumberedJobs>);

#[derive(Debug, Default)]
struct NumberedJobs {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

/// Counts one job as in flight until it is dropped.
#[derive(Debug)]
pub(super) struct InFlightTicket {
    jobs: Arc<InFlightJobs>,
    number: u64,
}

impl InFlightJobs {
    /// Adds one job.
    pub(super) fn enter(self: &Arc<Self>) -> InFlightTicket {
        let mut jobs = self.jobs();
        let number = jobs.next;
        jobs.next += 1;
        jobs.since.insert(number, Instant::now());
        InFlightTicket { jobs: Arc::clone(self), number }
    }

    /// How long the oldest job has been in flight; zero without jobs.
    pub(super) fn oldest(&self) -> Duration {
        self.jobs().since.first_key_value().map(|(_, since)| since.elapsed()).unwrap_or_default()
    }

    fn jobs(&self) -> MutexGuard<'_, NumberedJobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightTicket {
    fn drop(&mut self) {
        self.jobs.jobs().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_counts_until_it_leaves() {
        let in_flight = Arc::new(InFlightJobs::default());
        assert_eq!(in_flight.oldest(), Duration::ZERO);
        let first = in_flight.enter();
        tokio::time::advance(Duration::from_secs(5)).await;
        let _second = in_flight.enter();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(in_flight.oldest(), Duration::from_secs(6));
        drop(first);
        assert_eq!(in_flight.oldest(), Duration::from_secs(1));
    }
}
