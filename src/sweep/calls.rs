//! The endpoint, with its calls counted and timed: what a report tells of them.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::Instant;

use super::latency::Latencies;
use crate::{
    domain::{ClientKey, Job, ResultLabel, TraceContext, Verdict},
    ports::{Endpoint, UnknownClient},
};

/// The calls of one run.
#[derive(Debug, Default)]
pub struct Calls {
    by_result: [AtomicU64; ResultLabel::ALL.len()],
    latencies: Mutex<Latencies>,
}

impl Calls {
    /// How many came to this.
    #[must_use]
    pub fn came_to(&self, result: ResultLabel) -> u64 {
        self.by_result[result as usize].load(Ordering::Relaxed)
    }

    /// How many there were.
    #[must_use]
    pub fn all(&self) -> u64 {
        ResultLabel::ALL.into_iter().map(|result| self.came_to(result)).sum()
    }

    /// How long they took.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An endpoint whose calls are counted.
#[derive(Debug)]
pub struct Counted<E> {
    endpoint: E,
    calls: Arc<Calls>,
}

impl<E> Counted<E> {
    /// Counts the calls of `endpoint`.
    #[must_use]
    pub const fn new(endpoint: E, calls: Arc<Calls>) -> Self {
        Self { endpoint, calls }
    }
}

impl<E: Endpoint> Endpoint for Counted<E> {
    fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient> {
        self.endpoint.admit(job)
    }

    async fn revoke(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        let began = Instant::now();
        let verdict = self.endpoint.revoke(job, trace).await?;
        let mut latencies = self.calls.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.add(began.elapsed());
        drop(latencies);
        self.calls.by_result[verdict.label() as usize].fetch_add(1, Ordering::Relaxed);
        Ok(verdict)
    }
}
