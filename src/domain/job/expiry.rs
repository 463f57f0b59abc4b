//! When a token expires, according to its producer.
//!
//! A job whose token has expired ends without a call. So a wrong time would leave a live token valid, and report it as
//! expired. A value that cannot be the expiry of a live token therefore makes the job invalid: its dead letter states
//! the fault.

use std::time::{Duration, SystemTime};

use serde_json::{Number, Value};
use thiserror::Error;

use super::InvalidJob;
use crate::domain::{
    rfc3339::parse_rfc3339,
    unix_time::{PLAUSIBLE_SECONDS, TimeUnit},
};

/// Why the field `expires_at` is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExpiryFault {
    /// Zero: some servers write it for "never", others for an unset value.
    #[error("is 0, which is no moment; leave it out for a token that does not expire")]
    Zero,
    /// -1 for "never", or a zero date that was turned into a number.
    #[error("is negative, which is no moment; leave it out for a token that does not expire")]
    Negative,
    /// A number that is too small for a point in time: mostly the token's lifetime.
    #[error(
        "is a number of seconds before the year 2000, perhaps a lifetime; write the moment of expiry \
         in Unix seconds"
    )]
    Lifetime,
    /// A zero value, such as 0001-01-01 or 1970-01-01.
    #[error(
        "is a date before the year 2000, perhaps an empty one; write the moment of expiry, or leave \
         it out"
    )]
    EarlyDate,
    /// A moment in a finer unit.
    #[error("is in {0}, not in seconds; write Unix seconds")]
    Unit(TimeUnit),
    /// A number that is too large in every unit.
    #[error("lies beyond the year 9999; write Unix seconds or an RFC 3339 time")]
    TooLate,
    /// A number where a date has to be.
    #[error("is a number in quotes; write Unix seconds without quotes")]
    Quoted,
    /// Anything else.
    #[error("is neither an RFC 3339 time nor a number of Unix seconds")]
    NotATime,
}

/// The time in the field; `null` counts as absent.
pub(super) fn read(value: &Value) -> Result<Option<SystemTime>, InvalidJob> {
    let moment = match value {
        Value::Null => return Ok(None),
        Value::String(text) => date(text),
        Value::Number(number) => seconds(number),
        _ => Err(ExpiryFault::NotATime),
    };
    moment.map(Some).map_err(InvalidJob::Expiry)
}

fn date(text: &str) -> Result<SystemTime, ExpiryFault> {
    let Some(moment) = parse_rfc3339(text) else {
        let number = serde_json::from_str::<Number>(text.trim());
        return Err(number.map_or(ExpiryFault::NotATime, |_| ExpiryFault::Quoted));
    };
    // The format has no year beyond 9999, so a date is never too late.
    match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) if since.as_secs() >= *PLAUSIBLE_SECONDS.start() => Ok(moment),
        _ => Err(ExpiryFault::EarlyDate),
    }
}

fn seconds(number: &Number) -> Result<SystemTime, ExpiryFault> {
    let seconds = number.as_f64().ok_or(ExpiryFault::NotATime)?;
    let whole = whole(seconds);
    match whole {
        _ if seconds < 0.0 => Err(ExpiryFault::Negative),
        _ if seconds == 0.0 => Err(ExpiryFault::Zero),
        _ if whole < *PLAUSIBLE_SECONDS.start() => Err(ExpiryFault::Lifetime),
        // A number that is too large for the type becomes its maximum, which would be a plausible number.
        u64::MAX => Err(ExpiryFault::TooLate),
        _ => match TimeUnit::of(whole) {
            Some(TimeUnit::Seconds) => {
                Ok(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds))
            }
            Some(unit) => Err(ExpiryFault::Unit(unit)),
            None => Err(ExpiryFault::TooLate),
        },
    }
}

/// The whole part of a number, clamped to the range of the type.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what lies beyond the type lies beyond every bound that it is held against"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::unix_time::ALLOWED_SKEW;

    fn fault(value: &Value) -> ExpiryFault {
        match read(value) {
            Err(InvalidJob::Expiry(fault)) => fault,
            other => panic!("{value}: {other:?}"),
        }
    }

    fn moment(value: &Value) -> Duration {
        let moment = read(value).unwrap_or_else(|fault| panic!("{value}: {fault}"));
        moment.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn an_invalid_expiry_of_a_token_is_refused_with_its_unit() {
        for (value, expected) in [
            (json!(0), ExpiryFault::Zero),
            (json!(0.0), ExpiryFault::Zero),
            (json!(-0.0), ExpiryFault::Zero),
            (json!(-1), ExpiryFault::Negative),
            (json!(-0.5), ExpiryFault::Negative),
            (json!(-62_135_596_800_i64), ExpiryFault::Negative),
            (json!(i64::MIN), ExpiryFault::Negative),
            (json!(0.25), ExpiryFault::Lifetime),
            (json!(3600), ExpiryFault::Lifetime),
            (json!(31_536_000), ExpiryFault::Lifetime),
            (json!(946_684_799), ExpiryFault::Lifetime),
            (json!(1_700_000_000_000_u64), ExpiryFault::Unit(TimeUnit::Milliseconds)),
            (json!(1_700_000_000_000.5), ExpiryFault::Unit(TimeUnit::Milliseconds)),
            (json!(1_700_000_000_000_000_u64), ExpiryFault::Unit(TimeUnit::Microseconds)),
            (json!(1_700_000_000_000_000_000_u64), ExpiryFault::Unit(TimeUnit::Nanoseconds)),
            (json!(253_402_300_800_u64), ExpiryFault::TooLate),
            (json!(1e300), ExpiryFault::TooLate),
            (json!("0001-01-01T00:00:00Z"), ExpiryFault::EarlyDate),
            (json!("0000-01-01T00:00:00Z"), ExpiryFault::EarlyDate),
            (json!("1900-01-01T00:00:00Z"), ExpiryFault::EarlyDate),
            (json!("1970-01-01T00:00:00Z"), ExpiryFault::EarlyDate),
            (json!("1999-12-31T23:59:59.999Z"), ExpiryFault::EarlyDate),
            (json!("2000-01-01T00:59:59+01:00"), ExpiryFault::EarlyDate),
            (json!("1700000000"), ExpiryFault::Quoted),
            (json!("0"), ExpiryFault::Quoted),
            (json!(" 3600 "), ExpiryFault::Quoted),
            (json!("0000-00-00T00:00:00Z"), ExpiryFault::NotATime),
            (json!("2030-01-01"), ExpiryFault::NotATime),
            (json!("never"), ExpiryFault::NotATime),
            (json!(""), ExpiryFault::NotATime),
            (json!(true), ExpiryFault::NotATime),
            (json!([1_700_000_000]), ExpiryFault::NotATime),
        ] {
            assert_eq!(fault(&value), expected, "{value}");
        }
    }

    #[test]
    fn the_sentence_names_the_unit_and_the_remedy() {
        for (value, words) in [
            (json!(0), ["is 0", "leave it out"]),
            (json!(3600), ["lifetime", "Unix seconds"]),
            (json!("0001-01-01T00:00:00Z"), ["before the year 2000", "leave it out"]),
            (json!(1_700_000_000_000_u64), ["milliseconds", "Unix seconds"]),
        ] {
            let sentence = read(&value).unwrap_err().to_string();
            assert!(sentence.starts_with("the field expires_at "), "{sentence}");
            assert!(words.iter().all(|word| sentence.contains(word)), "{sentence}");
        }
    }

    #[test]
    fn moments_that_a_token_may_expire_at_are_taken() {
        assert_eq!(moment(&json!(946_684_800)).as_secs(), 946_684_800);
        assert_eq!(moment(&json!(1_700_000_000.25)).as_millis(), 1_700_000_000_250);
        assert_eq!(moment(&json!("2000-01-01T00:00:00Z")).as_secs(), 946_684_800);
        assert_eq!(moment(&json!(253_402_300_799_u64)).as_secs(), 253_402_300_799);
        assert_eq!(moment(&json!("9999-12-31T23:59:59Z")).as_secs(), 253_402_300_799);
        assert_eq!(read(&Value::Null), Ok(None));
    }

    /// The offset moves the date beyond year 9999. The sum with the clock skew must not overflow either.
    #[test]
    fn the_latest_dates_do_no_harm() {
        for text in
            ["9999-12-31T23:59:59-23:59", "9999-12-31T23:59:60Z", "0000-01-01T00:00:00+23:59"]
        {
            if let Ok(Some(moment)) = read(&json!(text)) {
                assert!(moment.checked_add(ALLOWED_SKEW).is_some(), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_number_is_a_plausible_moment_or_has_a_fault(number in any::<f64>()) {
            if let Ok(Some(at)) = read(&json!(number)) {
                let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
                prop_assert!(PLAUSIBLE_SECONDS.contains(&seconds));
            }
        }
    }
}
