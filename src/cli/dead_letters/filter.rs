//! Selects the dead letters of a command.

use std::time::SystemTime;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::{
    cli::{job_file, moment::Moment},
    domain::{DeadReason, Lane, StoredLetter},
};

/// The dead letters that a command selects: all, or those that match every given option
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArgs {
    /// Only those with this reason; repeat it for more than one
    #[arg(long, value_name = "REASON", value_parser = reason())]
    reason: Vec<DeadReason>,

    /// Only those from this lane
    #[arg(long, value_name = "LANE", value_parser = job_file::lane())]
    lane: Option<Lane>,

    /// Only those of this client; jobs that name no client belong to the configured one
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// Only those dead-lettered at or after this time: 2h (two hours ago), or 2025-03-01T04:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    since: Option<Moment>,

    /// Only those dead-lettered at or before this time
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Option<Moment>,

    /// Only those with this job id or fingerprint; repeat it for more than one
    #[arg(long, value_name = "ID|FINGERPRINT")]
    id: Vec<String>,
}

fn reason() -> impl TypedValueParser<Value = DeadReason> {
    let names = PossibleValuesParser::new(DeadReason::ALL.map(DeadReason::as_str));
    names.try_map(|name| DeadReason::from_name(&name).ok_or("no reason has that name"))
}

impl FilterArgs {
    /// The first reason among the options that is a rejection by the endpoint.
    pub(super) fn named_rejection(&self) -> Option<DeadReason> {
        self.reason.iter().copied().find(|reason| reason.is_rejection())
    }

    /// Whether a dead letter matches every option. A field that it lacks matches no option.
    pub(super) fn matches(&self, letter: &StoredLetter, now: SystemTime) -> bool {
        let Self { reason, lane, client_id, since, until, id } = self;
        let died = |is: &dyn Fn(SystemTime) -> bool| letter.dead_at.is_some_and(is);
        (reason.is_empty() || reason.contains(&letter.reason))
            && (lane.is_none() || *lane == letter.lane)
            && client_id.as_ref().is_none_or(|client| letter.is_of(client))
            && (id.is_empty() || id.iter().any(|name| letter.matches_id(name)))
            && since.is_none_or(|since| died(&|at| at >= since.resolve(now)))
            && until.is_none_or(|until| died(&|at| at <= until.resolve(now)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::dead_letters::testing::{letter, now};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: FilterArgs,
    }

    fn matches(options: &str, letter: &StoredLetter) -> bool {
        let words = std::iter::once("list").chain(options.split_whitespace());
        Line::parse_from(words).filter.matches(letter, now())
    }

    #[test]
    fn a_letter_matches_if_it_matches_every_option() {
        let cases = [
            ("", true),
            ("--reason exhausted", true),
            ("--reason rejected", false),
            ("--reason rejected --reason exhausted", true),
            ("--lane bulk", true),
            ("--lane interactive", false),
            ("--client-id shop", true),
            ("--client-id other", false),
            ("--since 60s", true),
            ("--since 59s", false),
            ("--until 60s", true),
            ("--until 61s", false),
            ("--since 2m --until 30s", true),
            ("--since 2023-11-14T22:12:20Z", true),
            ("--since 2023-11-14T22:12:21Z", false),
            ("--id logout-7", true),
            ("--id ba7816bf8f01", true),
            ("--id logout", false),
            ("--id logout --id logout-7", true),
            ("--reason exhausted --lane interactive", false),
            ("--reason exhausted --lane bulk --client-id shop --since 2m", true),
        ];
        for (options, expected) in cases {
            assert_eq!(matches(options, &letter()), expected, "{options}");
        }
    }

    #[test]
    fn both_rejections_are_named_as_such() {
        for (options, expected) in [
            ("", None),
            ("--reason exhausted --reason broker_dropped", None),
            ("--reason rejected", Some("rejected")),
            (
                "--reason exhausted --reason rejected_after_ambiguity",
                Some("rejected_after_ambiguity"),
            ),
        ] {
            let words = std::iter::once("list").chain(options.split_whitespace());
            let named = Line::parse_from(words).filter.named_rejection();
            assert_eq!(named.map(DeadReason::as_str), expected, "{options}");
        }
    }

    #[test]
    fn a_field_that_a_letter_lacks_matches_no_option() {
        let silent = StoredLetter {
            reason: DeadReason::BrokerDropped,
            lane: None,
            client_id: None,
            client: None,
            fingerprint: None,
            dead_at: None,
            ..letter()
        };
        assert!(matches("", &silent));
        assert!(matches("--reason broker_dropped", &silent));
        for option in
            ["--lane bulk", "--client-id shop", "--since 9y", "--until 0s", "--id ba7816bf8f01"]
        {
            assert!(!matches(option, &silent), "{option}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_the_possible_ones() {
        for (options, expected) in [
            ("--reason lost", "possible values: rejected, rejected_after_ambiguity, invalid_job"),
            ("--lane fast", "possible values: interactive, bulk"),
            ("--since yesterday", "like 2h or 30m"),
        ] {
            let words = std::iter::once("list").chain(options.split_whitespace());
            let refusal = Line::try_parse_from(words).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
