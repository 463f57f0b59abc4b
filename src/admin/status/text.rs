//! Numbers and times as a person reads them.

use std::time::Duration;

use crate::domain::grouped;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// `34` or `2.8`: a level or a rate, with a fraction only for small numbers.
pub fn number(value: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float counts exactly far beyond any number of jobs"
    )]
    match value {
        _ if value.fract() == 0.0 => grouped(value as u64),
        _ if value < 10.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// `12 s`, `3 min`, `5 h`.
pub fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 2 * MINUTE => format!("{seconds} s"),
        seconds if seconds < 2 * HOUR => format!("{} min", seconds / MINUTE),
        seconds => format!("{} h", seconds / HOUR),
    }
}

pub fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!([0.25, 9.94, 10.4].map(number), ["0.2", "9.9", "10"]);
        assert_eq!([0.0, 10_735.0, 2.84, 51.7].map(number), ["0", "10,735", "2.8", "52"]);
        let texts = [0, 119, 120, 7_199, 7_200].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(texts, ["0 s", "119 s", "2 min", "119 min", "2 h"]);
        assert_eq!((capitalized("paused"), capitalized("")), ("Paused".to_owned(), String::new()));
    }
}
