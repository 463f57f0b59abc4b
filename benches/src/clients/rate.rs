//! Rates within a period, from the records of calls.

use std::time::{Duration, Instant};

use super::{super::figures::number, backend::Record};

/// Tokens revoked per second from `from` on, of the records that `of` selects.
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

/// The share of calls begun from `from` on that `of` selects.
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

/// Tokens revoked in each second from `from` on, of the records that `of` selects, for a diagnosis.
pub fn course(records: &[Record], from: Instant, of: impl Fn(&Record) -> bool) -> Vec<u32> {
    let mut course = Vec::new();
    for record in records.iter().filter(|record| of(record)) {
        let Some(after) = record.revoked().and_then(|at| at.checked_duration_since(from)) else {
            continue;
        };
        let second = usize::try_from(after.as_secs()).unwrap_or(usize::MAX);
        if second >= course.len() {
            course.resize(second + 1, 0);
        }
        course[second] += 1;
    }
    course
}
