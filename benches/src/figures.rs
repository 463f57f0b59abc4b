//! Computes figures from measurements.

use std::time::Duration;

/// A count as a floating-point number.
#[allow(clippy::cast_precision_loss, reason = "no run counts to 2^53")]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// The median; of an even count the lower one, so that it is a value that was measured.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

/// The median of one figure over all repetitions.
pub fn median_of<T>(repetitions: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(repetitions.iter().map(figure))
}

/// The least value that `percent` of all do not exceed (the nearest rank); `sorted` must be.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank is at most the count, and not negative"
)]
pub fn percentile(sorted: &[Duration], percent: f64) -> Duration {
    let rank = ((sorted.len() as f64 * percent / 100.0).ceil() as usize).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// In milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
