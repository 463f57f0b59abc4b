//! Rates within a stretch of time, from the records of calls.

use std::time::{Duration, Instant};

use super::{super::figures::number, backend::Record};

/// Tokens revoked per second from `from` on, of the records that `of` wants.
pub fn revoked(
    records: &[Record],
    from: Instant,
    time: Duration,
    of: impl Fn(&Record) -> bool,
) -> f64 {
    let within = |at: Instant| at >= from && at < from + time;
    let count = records.iter().filter(|record| record.revoked().is_some_and(within) && of(record));
    number(count.count() as u64) / time.as_secs_f64()
}

/// The share of calls begun from `from` on that `of` tells.
pub fn share(
    records: &[Record],
    from: Instant,
    time: Duration,
    of: impl Fn(&Record) -> bool,
) -> f64 {
    let within = |at: Instant| at >= from && at < from + time;
    let begun: Vec<&Record> = records.iter().filter(|record| within(record.began)).collect();
    let told = begun.iter().filter(|record| of(record)).count();
    number(told as u64) / number(begun.len() as u64)
}
