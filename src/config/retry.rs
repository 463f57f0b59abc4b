//! The section `retry`.

use std::{ops::RangeInclusive, time::Duration};

use crate::domain::{RetryPolicy, Schedule};

use super::{
    faults::Problem,
    reader::Reader,
    value::{self, LONGEST, SHORTEST, SOME_TIME, Value},
};

/// What has been in hand for ten minutes is handed back anyway.
const HOLD: RangeInclusive<Duration> = SHORTEST..=Duration::from_secs(600);

/// `x-message-ttl` is counted in milliseconds, and beyond 31 bits of them brokers differ.
const STAY: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 86_400);

const MULTIPLIER: RangeInclusive<f64> = 1.0..=100.0;

const JITTER: RangeInclusive<f64> = 0.0..=1.0;

const INITIAL: &str = "retry.initial";
const MAX: &str = "retry.max";

pub(super) fn read(reader: &mut Reader) -> RetryPolicy {
    let policy = RetryPolicy {
        schedule: Schedule {
            initial: reader.required(INITIAL, value::duration(SOME_TIME)),
            multiplier: reader.required("retry.multiplier", value::number(MULTIPLIER)),
            max: reader.required(MAX, value::duration(SOME_TIME)),
            jitter: reader.required("retry.jitter", value::number(JITTER)),
        },
        hold: reader.required("retry.hold", value::duration(HOLD)),
        park: reader.required("retry.park", stays),
        give_up_after: reader.required("retry.give_up_after", value::duration(SHORTEST..=LONGEST)),
        retry_after_max: reader.required("retry.retry_after_max", value::duration(SOME_TIME)),
    };
    let ordered = policy.schedule.initial <= policy.schedule.max;
    reader.require(&[INITIAL, MAX], ordered, || {
        Problem::new(
            "does not fit: the first wait is above the longest",
            format!("choose {INITIAL} at most {MAX}"),
        )
    });
    policy
}

fn stays(value: &Value) -> Result<Vec<Duration>, Problem> {
    let stays = value::list(value::duration(STAY))(value)?;
    if stays.is_empty() {
        return Err(Problem::new(
            "is empty",
            "name one stay at least: without any, trouble would fill the hand",
        ));
    }
    if stays.iter().any(|stay| stay.subsec_nanos() % 1_000_000 != 0) {
        return Err(Problem::new(
            "is finer than a millisecond",
            "round it: the broker counts those",
        ));
    }
    if !stays.is_sorted_by(|earlier, later| earlier < later) {
        return Err(Problem::new(
            "does not grow from stay to stay",
            "sort it and leave repeats out",
        ));
    }
    Ok(stays)
}
