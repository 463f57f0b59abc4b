//! The section `retry`.

use std::{ops::RangeInclusive, time::Duration};

use crate::domain::{RetryPolicy, Schedule};

use super::{
    faults::Problem,
    reader::ConfigReader,
    value::{self, LONGEST, SHORTEST, WHILE_IN_FLIGHT},
};

/// The range of `x-message-ttl`: brokers differ for more than 31 bits of milliseconds.
const STAY: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 86_400);

const MULTIPLIER: RangeInclusive<f64> = 1.0..=100.0;

const JITTER: RangeInclusive<f64> = 0.0..=1.0;

const INITIAL: &str = "retry.initial";
const MAX: &str = "retry.max";
const HOLD: &str = "retry.hold";
const PARK: &str = "retry.park";
const GIVE_UP_AFTER: &str = "retry.give_up_after";

pub(super) fn read(reader: &mut ConfigReader) -> RetryPolicy {
    let policy = RetryPolicy {
        schedule: Schedule {
            initial: reader.required(INITIAL, value::duration(WHILE_IN_FLIGHT)),
            multiplier: reader.required("retry.multiplier", value::number(MULTIPLIER)),
            max: reader.required(MAX, value::duration(WHILE_IN_FLIGHT)),
            jitter: reader.required("retry.jitter", value::number(JITTER)),
        },
        hold: reader.required(HOLD, value::duration(WHILE_IN_FLIGHT)),
        park: reader.required(PARK, value::list(value::duration(STAY)).and(stays)),
        give_up_after: reader.required(GIVE_UP_AFTER, value::duration(SHORTEST..=LONGEST)),
        retry_after_max: reader.required("retry.retry_after_max", value::duration(WHILE_IN_FLIGHT)),
    };
    let ordered = policy.schedule.initial <= policy.schedule.max;
    reader.require(&[INITIAL, MAX], ordered, || {
        Problem::new(
            "does not fit: the first wait is above the longest",
            format!("choose {INITIAL} at most {MAX}"),
        )
    });
    let parks = policy.give_up_after >= policy.hold;
    reader.require(&[GIVE_UP_AFTER, HOLD], parks, || {
        Problem::new(
            "does not fit: a job would be given up before it is ever parked",
            format!("choose {GIVE_UP_AFTER} at least as long as {HOLD}"),
        )
    });
    let returns = policy.park.first().is_none_or(|first| *first <= policy.give_up_after);
    reader.expect(&[GIVE_UP_AFTER, PARK], !parks || returns, || {
        Problem::new(
            "is unusual: a parked job is given up after one more attempt",
            format!("choose {GIVE_UP_AFTER} longer than the first stay of {PARK}"),
        )
    });
    policy
}

fn stays(stays: Vec<Duration>) -> Result<Vec<Duration>, Problem> {
    if stays.is_empty() {
        return Err(Problem::new(
            "is empty",
            "name one stay at least: without any, every failing job would stay in flight",
        ));
    }
    if stays.iter().any(|stay| stay.subsec_nanos() % 1_000_000 != 0) {
        return Err(Problem::new(
            "is finer than a millisecond",
            "round it: the broker counts milliseconds",
        ));
    }
    if !stays.is_sorted_by(|earlier, later| earlier < later) {
        return Err(Problem::new(
            "does not grow from delay to delay",
            "sort it and remove repeats",
        ));
    }
    Ok(stays)
}
