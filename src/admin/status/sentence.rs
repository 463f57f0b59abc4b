//! The worker's state in one sentence.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use super::text;
use crate::{domain::ResultLabel, ports::Condition};

/// A time of day older than this belongs to another day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Describes the parts' conditions in one sentence: a part that is not ready first, then a part that waits.
/// `trouble` is the most recent cause of failed calls. Returns the class in the style sheet, and the sentence.
pub fn compose(
    parts: &[(&str, Condition)],
    trouble: Option<ResultLabel>,
    now: SystemTime,
) -> (&'static str, String) {
    let ill = parts.iter().find_map(|(name, condition)| match condition {
        Condition::NotReady { reason } => Some(("ill", format!("Not ready: {name}: {reason}."))),
        _ => None,
    });
    let waiting = parts.iter().find_map(|(_, condition)| match condition {
        Condition::Waiting { reason, since, until } => {
            Some(("waiting", wait(reason, *since, *until, trouble, now)))
        }
        _ => None,
    });
    ill.or(waiting).unwrap_or_else(|| ("well", "Running.".to_owned()))
}

fn wait(
    reason: &str,
    since: SystemTime,
    until: Option<SystemTime>,
    trouble: Option<ResultLabel>,
    now: SystemTime,
) -> String {
    let (state, cause) = reason.split_once(": ").unwrap_or((reason, ""));
    let why = match (cause, trouble.map(meaning)) {
        ("", _) => String::new(),
        (cause, None) => format!(" because {cause}"),
        (cause, Some(trouble)) => format!(" because {cause} (recently: {trouble})"),
    };
    let next = next_probe(until, now);
    format!("{} since {}{why}{next}.", text::capitalized(state), moment(since, now))
}

/// The time of the next probe, as the end of a sentence.
pub(super) fn next_probe(until: Option<SystemTime>, now: SystemTime) -> String {
    match until.map(|until| until.duration_since(now).unwrap_or(Duration::ZERO)) {
        None => String::new(),
        Some(Duration::ZERO) => ", a probe is due now".to_owned(),
        Some(left) => format!(", next probe in {}", text::duration(left)),
    }
}

/// The time of day, with the date if it is not today's.
pub(super) fn moment(at: SystemTime, now: SystemTime) -> String {
    let long_ago = now.duration_since(at).is_ok_and(|ago| ago >= DAY);
    let at = OffsetDateTime::from(at);
    let (hour, minute, second) = at.to_hms();
    let date = if long_ago { format!("{} ", at.date()) } else { String::new() };
    format!("{date}{hour:02}:{minute:02}:{second:02} UTC")
}

/// The meaning of a result class, as a sentence.
pub const fn meaning(result: ResultLabel) -> &'static str {
    match result {
        ResultLabel::Revoked => "revoked",
        ResultLabel::Acknowledged => "acknowledged",
        ResultLabel::Accepted => "accepted",
        ResultLabel::Gone => "the token does not exist any more",
        ResultLabel::Rejected => "the endpoint rejects the job",
        ResultLabel::Misconfigured => "the endpoint refuses the client's secret or rights",
        ResultLabel::Connect => "the endpoint refuses connections or is not found",
        ResultLabel::Tls => "the TLS handshake fails",
        ResultLabel::Timeout => "the endpoint does not answer in time",
        ResultLabel::Reset => "the connection breaks during the call",
        ResultLabel::Http3xx => "a redirect, which is never followed",
        ResultLabel::Http408 => "408: the request did not arrive in time",
        ResultLabel::Http429 => "429: too many calls",
        ResultLabel::Http5xx => "5xx: the endpoint or a gateway fails",
        ResultLabel::Http4xx => "a wrong URL, a proxy or a firewall answers",
        ResultLabel::Unrecognized => "the response is not one of the endpoint's own",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn paused(until: Option<SystemTime>) -> Condition {
        let reason = "paused: the endpoint does not answer".to_owned();
        Condition::Waiting { reason, since: at(38_520), until }
    }

    #[test]
    fn each_state_is_one_sentence() {
        let broken = Condition::NotReady { reason: "connection refused".to_owned() };
        let connect = Some(ResultLabel::Connect);
        let stopping = Condition::Waiting {
            reason: "shutting down".to_owned(),
            since: at(38_520),
            until: None,
        };
        for (parts, trouble, tone, words) in [
            (vec![("flow", Condition::Ready)], connect, "well", "Running."),
            (
                vec![("flow", paused(Some(at(38_612))))],
                connect,
                "waiting",
                "Paused since 10:42:00 UTC because the endpoint does not answer (recently: the \
                 endpoint refuses connections or is not found), next probe in 12 s.",
            ),
            (
                vec![("flow", paused(Some(at(38_599))))],
                None,
                "waiting",
                "Paused since 10:42:00 UTC because the endpoint does not answer, a probe is due now.",
            ),
            (vec![("consumer", stopping)], connect, "waiting", "Shutting down since 10:42:00 UTC."),
            (
                vec![("flow", paused(None)), ("consumer", broken)],
                connect,
                "ill",
                "Not ready: consumer: connection refused.",
            ),
        ] {
            let sentence = compose(&parts, trouble, at(38_600));
            assert_eq!((sentence.0, sentence.1.as_str()), (tone, words));
        }
    }

    #[test]
    fn a_pause_of_more_than_a_day_tells_the_date() {
        let yesterday = at(38_520);
        assert_eq!(moment(yesterday, yesterday + DAY), "1970-01-01 10:42:00 UTC");
    }
}
