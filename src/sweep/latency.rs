//! How long calls took, exact enough for percentiles and small however many there are.
//!
//! Buckets that are each a fixed share of their value wide, as in an HDR histogram, of which no more is
//! needed here than to add a value and to ask for a percentile.

use std::time::Duration;

/// Each power of two of microseconds is divided into so many buckets: a percentile is at most one part in
/// so many above the true value.
const PARTS: u64 = 1 << PARTS_BITS;

/// From here on buckets get wider: below it each microsecond has its own.
const PARTS_BITS: u32 = 5;

/// Enough for every `u64` of microseconds.
const BUCKETS: usize = ((u64::BITS - PARTS_BITS) as usize + 1) << PARTS_BITS;

/// A histogram of durations, to the microsecond at best.
#[derive(Debug, Clone)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, longest: Duration::ZERO }
    }
}

impl Latencies {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket(micros)) {
            *bucket += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(took);
    }

    /// The longest; zero with none.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// The time that `per_mille` of a thousand did not exceed; `None` with none.
    #[must_use]
    pub fn per_mille(&self, per_mille: u64) -> Option<Duration> {
        let wanted = (u128::from(self.count) * u128::from(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0;
        let reached = self.buckets.iter().position(|count| {
            seen += u128::from(*count);
            seen >= wanted
        })?;
        Some(Duration::from_micros(upper(reached)).min(self.longest))
    }
}

/// The bucket of a value.
fn bucket(micros: u64) -> usize {
    if micros < PARTS {
        return usize::try_from(micros).unwrap_or_default();
    }
    let shift = micros.ilog2() - PARTS_BITS;
    let part = (micros >> shift) - PARTS;
    usize::try_from((u64::from(shift) + 1) * PARTS + part).unwrap_or(usize::MAX)
}

/// The greatest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return bucket;
    }
    let shift = bucket / PARTS - 1;
    let next = u128::from(bucket % PARTS + PARTS + 1) << shift;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_of_known_times() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.per_mille(500), None);
        (1..=1000).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        for (per_mille, ms) in [(500, 500), (900, 900), (990, 990), (999, 999), (1000, 1000)] {
            let exact = Duration::from_millis(ms);
            let told = latencies.per_mille(per_mille).unwrap();
            let part = exact / u32::try_from(PARTS).unwrap();
            assert!(told >= exact && told <= exact + part, "{told:?}");
        }
        assert_eq!(latencies.longest(), Duration::from_secs(1));
        assert_eq!(latencies.per_mille(1000), Some(latencies.longest()));
    }

    proptest! {
        #[test]
        fn each_value_is_in_its_bucket(micros in prop_oneof![0..100_000u64, any::<u64>()]) {
            let bucket = bucket(micros);
            prop_assert!(bucket < BUCKETS);
            prop_assert!(upper(bucket) >= micros);
            prop_assert!(bucket == 0 || upper(bucket - 1) < micros);
            prop_assert!(upper(bucket) - micros <= micros / PARTS);
        }
    }
}
