//! The section `flow`.

use std::ops::RangeInclusive;

use crate::flow::{PauseSettings, Settings};

use super::{
    faults::Problem,
    reader::Reader,
    value::{self, SOME_TIME},
};

/// As many calls at a time as one host has ports for.
const CONCURRENCY: RangeInclusive<usize> = 1..=65_535;

/// Calls per second. Slower, a job would not get its turn in the time that one may be in hand; faster,
/// the rate limits nothing.
const RATE: RangeInclusive<f64> = 0.01..=1_000_000.0;

const SHARE: RangeInclusive<f64> = 0.0..=1.0;

const MIN: &str = "flow.concurrency.min";
const MAX: &str = "flow.concurrency.max";
const PROBE_INITIAL: &str = "flow.pause.probe_initial";
const PROBE_MAX: &str = "flow.pause.probe_max";

pub(super) fn read(reader: &mut Reader) -> Settings {
    let settings = Settings {
        concurrency_min: reader.required(MIN, value::count(CONCURRENCY)),
        concurrency_max: reader.required(MAX, value::count(CONCURRENCY)),
        adaptive: reader.required("flow.concurrency.adaptive", value::flag),
        rate: reader.optional("flow.rate", value::number(RATE)),
        bulk_min_share: reader.required("flow.bulk_min_share", value::number(SHARE)),
        pause: PauseSettings {
            after_failures: reader
                .required("flow.pause.after_failures", value::count(1..=u32::MAX)),
            probe_initial: reader.required(PROBE_INITIAL, value::duration(SOME_TIME)),
            probe_max: reader.required(PROBE_MAX, value::duration(SOME_TIME)),
            after_rejections: reader
                .optional("flow.pause.after_rejections", value::count(1..=u32::MAX)),
            first_rejections: 0,
        },
    };
    let ordered = settings.concurrency_min <= settings.concurrency_max;
    reader.require(&[MIN, MAX], ordered, || {
        Problem::new(
            "does not fit: the floor is above the ceiling",
            format!("choose {MIN} at most {MAX}"),
        )
    });
    let ordered = settings.pause.probe_initial <= settings.pause.probe_max;
    reader.require(&[PROBE_INITIAL, PROBE_MAX], ordered, || {
        Problem::new(
            "does not fit: the first wait is above the longest",
            format!("choose {PROBE_INITIAL} at most {PROBE_MAX}"),
        )
    });
    settings
}
