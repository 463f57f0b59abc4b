//! Which letters an action is about.

use std::time::SystemTime;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::moment::Moment;
use crate::domain::{DeadReason, Lane, Reason, StoredLetter};

/// The letters that are meant: all of them, or those that fit every option given
#[derive(Debug, Clone, Default, clap::Args)]
// Flattened into others of the same name.
#[group(skip)]
#[command(next_help_heading = "Which letters")]
pub struct Args {
    /// Only those with this reason; repeat it for more than one
    #[arg(long, value_name = "REASON", value_parser = reason())]
    reason: Vec<DeadReason>,

    /// Only those that died in this lane
    #[arg(long, value_name = "LANE", value_parser = lane())]
    lane: Option<Lane>,

    /// Only those of this client; jobs that name none are the configured client's
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// Only those that died then or later: a time ago, like 2h, or like 2025-03-01T04:00:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<Moment>,

    /// Only those that died then or earlier
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,

    /// Only the one that goes by this job id or fingerprint; repeat it for more than one
    #[arg(long, value_name = "ID|FINGERPRINT")]
    id: Vec<String>,
}

/// Reads a lane's name.
#[must_use]
pub fn lane() -> impl TypedValueParser<Value = Lane> {
    let names = PossibleValuesParser::new(Lane::ALL.map(Lane::as_str));
    names.try_map(|name| Lane::from_name(&name).ok_or("no lane has that name"))
}

fn reason() -> impl TypedValueParser<Value = DeadReason> {
    let names = PossibleValuesParser::new(DeadReason::ALL.map(DeadReason::as_str));
    names.try_map(|name| DeadReason::from_name(&name).ok_or("no reason has that name"))
}

impl Args {
    /// Whether letters that the endpoint rejected are asked for by name.
    #[must_use]
    pub fn names_rejected(&self) -> bool {
        self.reason.contains(&DeadReason::Stated(Reason::Rejected))
    }

    /// The filter, its times seen from `now`.
    #[must_use]
    pub fn resolve(&self, now: SystemTime) -> Filter {
        Filter {
            args: self.clone(),
            since: self.since.map(|moment| moment.resolve(now)),
            until: self.until.map(|moment| moment.resolve(now)),
        }
    }
}

/// The options with their times resolved.
#[derive(Debug, Clone)]
pub struct Filter {
    args: Args,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl Filter {
    /// Whether a letter fits every option. One that does not tell what an option asks for does not.
    #[must_use]
    pub fn fits(&self, letter: &StoredLetter) -> bool {
        let Args { reason, lane, client_id, id, .. } = &self.args;
        (reason.is_empty() || reason.contains(&letter.reason))
            && (lane.is_none() || *lane == letter.lane)
            && client_id.as_ref().is_none_or(|client| letter.is_of(client))
            && (id.is_empty() || id.iter().any(|name| letter.goes_by(name)))
            && self.since.is_none_or(|since| letter.dead_at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| letter.dead_at.is_some_and(|at| at <= until))
    }
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::domain::{Arrival, Fingerprint, History, Job, JobDefaults, JobId};

    /// Any letter, dead for a minute at [`now`].
    pub fn letter() -> StoredLetter {
        let job = Job::parse(br#"{"refresh_token":"abc"}"#, &JobDefaults::default()).unwrap();
        let arrival = Arrival {
            lane: Lane::Bulk,
            message_id: Some("logout-7".to_owned()),
            published_at: None,
            redelivered: false,
            trace: None,
            history: History::default(),
        };
        StoredLetter {
            reason: DeadReason::Stated(Reason::Exhausted),
            detail: "the endpoint answered others".to_owned(),
            id: JobId::of(&arrival, &job),
            fingerprint: Some(Fingerprint::of("abc")),
            is_job: true,
            body_bytes: 23,
            lane: Some(Lane::Bulk),
            client_id: Some("shop".to_owned()),
            client: Some(Fingerprint::of("shop")),
            code: None,
            http_status: None,
            attempts: Some(3),
            last_error: None,
            published_at: None,
            first_failed_at: None,
            dead_at: Some(now() - Duration::from_secs(60)),
            ambiguity: None,
            replays: 0,
            headers_dropped: false,
        }
    }

    /// The present of these tests.
    pub fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: Args,
    }

    fn filter(options: &str) -> Filter {
        let words = std::iter::once("list").chain(options.split_whitespace());
        Line::parse_from(words).filter.resolve(now())
    }

    #[test]
    fn a_letter_fits_if_it_fits_every_option() {
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
            assert_eq!(filter(options).fits(&letter()), expected, "{options}");
        }
    }

    #[test]
    fn what_a_letter_does_not_tell_does_not_fit() {
        let silent = StoredLetter {
            reason: DeadReason::BrokerDropped,
            lane: None,
            client_id: None,
            client: None,
            fingerprint: None,
            dead_at: None,
            ..letter()
        };
        assert!(filter("").fits(&silent));
        assert!(filter("--reason broker_dropped").fits(&silent));
        for option in
            ["--lane bulk", "--client-id shop", "--since 9y", "--until 0s", "--id ba7816bf8f01"]
        {
            assert!(!filter(option).fits(&silent), "{option}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_what_would_be() {
        for (options, expected) in [
            ("--reason gone", "possible values: rejected, rejected_after_ambiguity, invalid_job"),
            ("--lane fast", "possible values: interactive, bulk"),
            ("--since yesterday", "like 2h or 30m"),
        ] {
            let words = std::iter::once("list").chain(options.split_whitespace());
            let refusal = Line::try_parse_from(words).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
