//! The worker's state in one sentence.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use super::{rejections::Rejections, text};
use crate::{
    admin::readiness::{PartReadiness, Readiness, ReadinessState},
    domain::{ResultLabel, parse_rfc3339},
    ports::Condition,
};

impl Readiness {
    /// The worker's state in one sentence, as on its status page.
    pub fn sentence(&self, now: SystemTime) -> String {
        let parts: Vec<_> =
            self.parts.iter().map(|(name, part)| (name.as_str(), condition(part))).collect();
        compose(&parts, Rejections::default(), now).1
    }
}

fn condition(part: &PartReadiness) -> Condition {
    let time = |text: &Option<String>| text.as_deref().and_then(parse_rfc3339);
    let reason = part.reason.clone().unwrap_or_default();
    match part.state {
        ReadinessState::Ready => Condition::Ready,
        ReadinessState::NotReady => Condition::NotReady { reason },
        ReadinessState::Waiting => Condition::Waiting {
            reason,
            since: time(&part.since).unwrap_or(SystemTime::UNIX_EPOCH),
            until: time(&part.until),
        },
    }
}

/// A time of day older than this belongs to another day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Describes the parts' conditions in one sentence: a part that is not ready first, then a part that waits.
/// Many rejections are odd, even if every part works. Returns the class in the style sheet, and the sentence.
pub fn compose(
    parts: &[(&str, Condition)],
    rejections: Rejections,
    now: SystemTime,
) -> (&'static str, String) {
    let ill = parts.iter().find_map(|(name, condition)| match condition {
        Condition::NotReady { reason } => Some(("ill", format!("Not ready: {name}: {reason}."))),
        _ => None,
    });
    let waiting = parts.iter().find_map(|(_, condition)| match condition {
        Condition::Waiting { reason, since, until } => {
            Some(("waiting", wait(reason, *since, *until, now)))
        }
        _ => None,
    });
    let odd = || rejections.are_odd().then(|| ("waiting", format!("Running, but {rejections}.")));
    ill.or(waiting).or_else(odd).unwrap_or_else(|| ("well", "Running.".to_owned()))
}

fn wait(reason: &str, since: SystemTime, until: Option<SystemTime>, now: SystemTime) -> String {
    let (state, cause) = reason.split_once(": ").unwrap_or((reason, ""));
    let why = if cause.is_empty() { String::new() } else { format!(" because {cause}") };
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
        let reason = "paused: the endpoint does not answer: the connection is refused".to_owned();
        Condition::Waiting { reason, since: at(38_520), until }
    }

    /// What `/readyz` says makes the sentence of the page.
    #[test]
    fn a_readiness_has_the_sentence_of_its_parts() {
        let part = ("flow", paused(Some(at(38_612))), crate::ports::PausedClients::default());
        let readiness = Readiness::of([part]);
        let sent: Readiness =
            serde_json::from_str(&serde_json::to_string(&readiness).unwrap()).unwrap();
        assert_eq!(
            sent.sentence(at(38_600)),
            "Paused since 10:42:00 UTC because the endpoint does not answer: the connection is refused, \
             next probe in 12 s."
        );
        assert_eq!(Readiness::of([]).sentence(at(0)), "Running.");
    }

    #[test]
    fn each_state_is_one_sentence() {
        let broken = Condition::NotReady { reason: "connection refused".to_owned() };
        let stopping = Condition::Waiting {
            reason: "shutting down".to_owned(),
            since: at(38_520),
            until: None,
        };
        for (parts, tone, words) in [
            (vec![("flow", Condition::Ready)], "well", "Running."),
            (
                vec![("flow", paused(Some(at(38_612))))],
                "waiting",
                "Paused since 10:42:00 UTC because the endpoint does not answer: the connection is \
                 refused, next probe in 12 s.",
            ),
            (
                vec![("flow", paused(Some(at(38_599))))],
                "waiting",
                "Paused since 10:42:00 UTC because the endpoint does not answer: the connection is \
                 refused, a probe is due now.",
            ),
            (vec![("consumer", stopping)], "waiting", "Shutting down since 10:42:00 UTC."),
            (
                vec![("flow", paused(None)), ("consumer", broken)],
                "ill",
                "Not ready: consumer: connection refused.",
            ),
        ] {
            let sentence = compose(&parts, Rejections::default(), at(38_600));
            assert_eq!((sentence.0, sentence.1.as_str()), (tone, words));
        }
    }

    #[test]
    fn many_rejections_are_told_unless_there_is_something_worse() {
        let many = Rejections { rejected: 500, answers: 800 };
        let words = "Running, but 500 of the last 800 answers were rejections.".to_owned();
        assert_eq!(compose(&[], many, at(1)), ("waiting", words));
        let parts = [("flow", paused(None))];
        assert!(compose(&parts, many, at(38_600)).1.starts_with("Paused since"));
        let few = Rejections { rejected: 8, answers: 800 };
        assert_eq!(compose(&[], few, at(1)), ("well", "Running.".to_owned()));
    }

    #[test]
    fn a_pause_of_more_than_a_day_tells_the_date() {
        let yesterday = at(38_520);
        assert_eq!(moment(yesterday, yesterday + DAY), "1970-01-01 10:42:00 UTC");
    }
}
