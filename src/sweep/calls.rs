//! Counts and times the calls of one run for its report.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hdrhistogram::{CreationError, Histogram};
use tokio::time::Instant;

use super::report::Percentiles;
use crate::{
    domain::{ClientKey, Failure, Job, ResultLabel, TokenState, TraceContext, Verdict},
    ports::{Endpoint, UnknownClient},
};

/// The significant digits of a percentile: it is at most 0.1 % above the true value.
const DIGITS: u8 = 3;

#[derive(Debug)]
pub struct Calls {
    by_result: [AtomicU64; ResultLabel::ALL.len()],
    latencies: Mutex<Latencies>,
}

/// The durations of calls.
#[derive(Debug)]
struct Latencies {
    micros: Histogram<u64>,
    /// Exact, where the histogram rounds up.
    longest: Duration,
}

impl Calls {
    /// Counts from zero. Fails only if the histogram does not support the number of digits.
    pub fn new() -> Result<Self, CreationError> {
        let latencies = Latencies { micros: Histogram::new(DIGITS)?, longest: Duration::ZERO };
        Ok(Self { by_result: Default::default(), latencies: Mutex::new(latencies) })
    }

    pub fn with_result(&self, result: ResultLabel) -> u64 {
        self.by_result[result as usize].load(Ordering::Relaxed)
    }

    pub fn all(&self) -> u64 {
        ResultLabel::ALL.into_iter().map(|result| self.with_result(result)).sum()
    }

    /// The percentiles of the calls' durations; `None` without a call.
    pub fn percentiles(&self) -> Option<Percentiles> {
        self.latencies().percentiles()
    }

    fn latencies(&self) -> MutexGuard<'_, Latencies> {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latencies {
    fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // The histogram grows to hold the value, up to half a megabyte. Where it cannot, the value is cut to its end.
        if self.micros.record(micros).is_err() {
            self.micros.saturating_record(micros);
        }
        self.longest = self.longest.max(took);
    }

    fn percentiles(&self) -> Option<Percentiles> {
        let at = |quantile| {
            Duration::from_micros(self.micros.value_at_quantile(quantile)).min(self.longest)
        };
        (!self.micros.is_empty()).then(|| Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.longest,
        })
    }
}

#[derive(Debug)]
pub struct CountedEndpoint<E> {
    endpoint: E,
    calls: Arc<Calls>,
}

impl<E> CountedEndpoint<E> {
    /// Counts the calls of `endpoint` in `calls`.
    pub const fn new(endpoint: E, calls: Arc<Calls>) -> Self {
        Self { endpoint, calls }
    }
}

impl<E: Endpoint> Endpoint for CountedEndpoint<E> {
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
        self.calls.latencies().record(began.elapsed());
        self.calls.by_result[verdict.label() as usize].fetch_add(1, Ordering::Relaxed);
        Ok(verdict)
    }

    async fn introspect(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<TokenState, Failure> {
        self.endpoint.introspect(job, trace).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn percentiles(calls: impl IntoIterator<Item = Duration>) -> Option<Percentiles> {
        let all = Calls::new().unwrap();
        calls.into_iter().for_each(|took| all.latencies().record(took));
        all.percentiles()
    }

    fn is_close(told: Duration, exact: Duration) -> bool {
        told >= exact && told <= exact + exact / 1000
    }

    #[test]
    fn percentiles_of_known_times() {
        assert!(percentiles([]).is_none());
        let Percentiles { p50, p90, p99, p999, max } =
            percentiles((1..=1000).map(Duration::from_millis)).unwrap();
        for (told, ms) in [(p50, 500), (p90, 900), (p99, 990), (p999, 999), (max, 1000)] {
            assert!(is_close(told, Duration::from_millis(ms)), "{told:?}");
        }
        assert_eq!(max, Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn a_percentile_is_close_to_the_call(micros in prop_oneof![0..100_000u64, any::<u64>()]) {
            let took = Duration::from_micros(micros);
            // The longer call keeps the percentile from being cut to the longest.
            let told = percentiles([took, took, took, took.saturating_mul(2)]).unwrap().p50;
            prop_assert!(is_close(told, took), "{:?}", told);
        }
    }
}
