//! The section `flow`.

use std::{ops::RangeInclusive, time::Duration};

use crate::flow::{PauseSettings, RateScope, Settings};

use super::{
    faults::Problem,
    reader::ConfigReader,
    value::{self, SOME_TIME},
};

/// The number of parallel calls, at most the number of ports of one host.
const CONCURRENCY: RangeInclusive<usize> = 1..=65_535;

/// Calls per second. At a lower rate, a job could not start within the time that it may be in flight. A higher rate has
/// no effect.
const RATE: RangeInclusive<f64> = 0.01..=1_000_000.0;

const SHARE: RangeInclusive<f64> = 0.0..=1.0;

/// A longer wait between probes gives a warning.
const SELDOM: Duration = Duration::from_secs(3600);

/// A larger minimum share of the bulk lane gives a warning.
const HALF: f64 = 0.5;

const SCOPES: [(&str, RateScope); 2] =
    [("replica", RateScope::Replica), ("fleet", RateScope::Fleet)];

const RATE_KEY: &str = "flow.rate";
const RATE_SCOPE: &str = "flow.rate_scope";
const BULK_MIN_SHARE: &str = "flow.bulk_min_share";
const MIN: &str = "flow.concurrency.min";
const MAX: &str = "flow.concurrency.max";
const PROBE_INITIAL: &str = "flow.pause.probe_initial";
const PROBE_MAX: &str = "flow.pause.probe_max";
pub(super) const AFTER_REJECTIONS: &str = "flow.pause.after_rejections";
pub(super) const FIRST_REJECTIONS: &str = "flow.guard.first_rejections";

pub(super) fn read(reader: &mut ConfigReader) -> Settings {
    let settings = Settings {
        concurrency_min: reader.required(MIN, value::count(CONCURRENCY)),
        concurrency_max: reader.required(MAX, value::count(CONCURRENCY)),
        adaptive: reader.required("flow.concurrency.adaptive", value::flag()),
        rate: reader.optional(RATE_KEY, value::number(RATE)),
        rate_scope: reader.required(RATE_SCOPE, value::choice(&SCOPES)),
        bulk_min_share: reader.required(BULK_MIN_SHARE, value::number(SHARE)),
        pause: PauseSettings {
            after_failures: reader
                .required("flow.pause.after_failures", value::count(1..=u32::MAX)),
            probe_initial: reader.required(PROBE_INITIAL, value::duration(SOME_TIME)),
            probe_max: reader.required(PROBE_MAX, value::duration(SOME_TIME)),
            after_rejections: reader.optional(AFTER_REJECTIONS, value::count(1..=u32::MAX)),
            first_rejections: reader.required(FIRST_REJECTIONS, value::count(0..=u32::MAX)),
            expected_rejections: 0,
        },
    };
    let useful = settings.rate.is_some() || settings.rate_scope == RateScope::Replica;
    reader.expect(&[RATE_SCOPE, RATE_KEY], useful, || {
        Problem::new("shares no rate, because flow.rate is not set", "set flow.rate, or remove it")
    });
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
    reader.expect(&[PROBE_MAX], settings.pause.probe_max <= SELDOM, || {
        Problem::new(
            "is long: an endpoint that is back is not noticed for as long",
            "lower it unless the unit is meant",
        )
    });
    reader.expect(&[BULK_MIN_SHARE], settings.bulk_min_share <= HALF, || {
        Problem::new(
            "puts sweeps before logouts: the interactive lane gets the rest while both wait",
            "choose at most 0.5",
        )
    });
    settings
}
