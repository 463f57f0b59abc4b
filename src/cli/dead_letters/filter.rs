//! Selects the dead letters of a command.

use std::time::{Duration, SystemTime};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::{
    cli::job_file,
    domain::{DeadReason, Lane, Reason, StoredLetter, parse_rfc3339},
};

/// A point in time as it was typed: a duration before the current time, or a date and time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Ago(Duration),
    At(SystemTime),
}

impl Moment {
    /// Parses a duration, like `2h`, or RFC 3339.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        parse_rfc3339(text).map(Self::At).ok_or(
            "expected a time ago, like 2h or 30m, or a date and time, like 2025-03-01T04:00:00Z",
        )
    }

    /// The point in time, given the current time. The earliest is 1970.
    pub(super) fn resolve(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH),
            Self::At(at) => at,
        }
    }
}

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
    /// Whether the options name the reason `rejected`.
    pub(super) fn names_rejected(&self) -> bool {
        self.reason.contains(&DeadReason::Stated(Reason::Rejected))
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
    use crate::{
        cli::dead_letters::testing::{letter, now},
        domain::rfc3339,
    };

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

    #[test]
    fn a_moment_is_a_time_ago_or_a_time_by_the_clock() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let cases = [
            ("2h", Some("2023-11-14T20:13:20Z")),
            ("1d 1s", Some("2023-11-13T22:13:19Z")),
            ("0s", Some("2023-11-14T22:13:20Z")),
            ("100000000y", None),
            ("2023-11-14T22:13:20Z", Some("2023-11-14T22:13:20Z")),
            ("2023-11-14T23:13:20+01:00", Some("2023-11-14T22:13:20Z")),
            ("yesterday", None),
            ("2023-11-14", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let resolved = Moment::parse(text).ok().map(|moment| moment.resolve(now));
            assert_eq!(resolved.and_then(rfc3339).as_deref(), expected, "{text}");
        }
    }
}
