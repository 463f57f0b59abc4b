//! Counts of dead letters by reason.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use crate::domain::DeadReason;

/// A count with its noun: `1 message`, `2 messages`.
pub(super) fn several(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReasonCounts([u64; DeadReason::ALL.len()]);

impl ReasonCounts {
    pub(super) fn add(&mut self, reason: DeadReason) {
        for (count, of) in self.0.iter_mut().zip(DeadReason::ALL) {
            *count += u64::from(of == reason);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// A line for each reason that occurs.
    pub(super) fn lines(&self) -> String {
        let there = || DeadReason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0);
        let width = there().map(|(reason, _)| reason.as_str().len()).max().unwrap_or_default();
        let mut lines = String::new();
        for (reason, count) in there() {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "  {reason:width$}  {count:>9}");
        }
        lines
    }
}

/// Writes every reason, also those with 0, so that a script need not check for a name.
impl Serialize for ReasonCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(DeadReason::ALL.map(DeadReason::as_str).into_iter().zip(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Reason;

    #[test]
    fn a_noun_agrees_with_its_number() {
        let words = [0, 1, 2].map(|count| several(count, "message"));
        assert_eq!(words, ["0 messages", "1 message", "2 messages"]);
    }

    #[test]
    fn letters_are_counted_by_reason() {
        let mut counts = ReasonCounts::default();
        assert_eq!((counts.lines().as_str(), counts.total()), ("", 0));
        counts.add(DeadReason::BrokerDropped);
        for _ in 0..12 {
            counts.add(DeadReason::Stated(Reason::Rejected));
        }
        assert_eq!(counts.total(), 13);
        assert_eq!(counts.lines(), "  rejected               12\n  broker_dropped          1\n");
        let json = serde_json::to_value(counts).unwrap();
        assert_eq!(json["rejected"], 12);
        assert_eq!(json["exhausted"], 0);
        assert_eq!(json.as_object().unwrap().len(), DeadReason::ALL.len());
    }
}
