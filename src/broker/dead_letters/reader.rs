//! Reads a dead letter's headers and body. Any producer can forge them. So every text is put on one line, cut, and
//! searched for the job's secrets before it reaches a terminal. If the body is no job, only texts that a worker writes
//! are shown.

#[cfg(test)]
mod tests;

use std::time::SystemTime;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::redaction::Redaction;
use crate::{
    broker::{
        headers::{self, Headers, name},
        queues::Queues,
    },
    domain::{
        Ambiguity, DeadReason, Fingerprint, InvalidJob, Job, JobDefaults, JobId, Lane, Reason,
        ResultLabel, StoredLetter,
    },
};

/// The most characters of a detail: several times the length that a worker writes.
const MAX_DETAIL_CHARS: usize = 500;

/// The most characters of any other text.
const MAX_TEXT_CHARS: usize = 100;

/// The reasons for which the broker dead-letters a message.
const REASONS_OF_THE_BROKER: [&str; 4] = ["expired", "delivery_limit", "maxlen", "rejected"];

/// Used where an entry of `x-death` lacks the field.
const NO_REASON: &str = "no reason given";
const NO_QUEUE: &str = "an unknown queue";

/// The most characters of a queue's name: AMQP's limit.
const MAX_QUEUE_CHARS: usize = 255;

/// Reads the dead letters of one queue family.
#[derive(Debug)]
pub(super) struct DeadLetterReader {
    pub(super) queues: Queues,
    /// Values for the fields that a job leaves out.
    pub(super) defaults: JobDefaults,
}

/// One entry of the broker's `x-death` header: a queue that dead-lettered the message.
#[derive(Debug)]
pub(super) struct Death<'a> {
    /// `expired`, `delivery_limit`, `maxlen` or `rejected`.
    reason: &'a str,
    queue: &'a str,
    /// The first time.
    at: Option<SystemTime>,
    pub(super) count: u32,
}

/// The entries of `x-death`, the latest queue first.
pub(super) fn deaths(headers: Headers<'_>) -> impl Iterator<Item = Death<'_>> {
    let entries = match headers.get("x-death") {
        Some(AMQPValue::FieldArray(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().filter_map(|entry| match entry {
        AMQPValue::FieldTable(entry) => Some(death(entry)),
        _ => None,
    })
}

fn death(entry: &FieldTable) -> Death<'_> {
    let entry = Headers(Some(entry));
    Death {
        reason: entry.text("reason").unwrap_or(NO_REASON),
        queue: entry.text("queue").unwrap_or(NO_QUEUE),
        at: entry.time("time"),
        count: entry.count("count").unwrap_or(1),
    }
}

impl DeadLetterReader {
    pub(super) fn read(&self, properties: &BasicProperties, body: &[u8]) -> StoredLetter {
        let written = Headers(properties.headers().as_ref());
        let death = deaths(written).next();
        let stated = written.text(name::REASON);
        let parsed = Job::parse(body, &self.defaults);
        let job = parsed.as_ref().ok();
        let redaction = Redaction::of(job);
        let shown = |text: &str| redaction.text(text, MAX_TEXT_CHARS);
        let error = |text: &str| {
            redaction.word(text, ResultLabel::from_name(text).is_some(), MAX_TEXT_CHARS)
        };
        let (reason, detail) = match (stated, &parsed) {
            (None, _) => (DeadReason::BrokerDropped, self.dropped(death.as_ref(), &redaction)),
            (Some(stated), Ok(_)) => {
                why(stated, written.text(name::DETAIL).unwrap_or("no detail given"), &redaction)
            }
            (Some(stated), Err(fault)) => why_no_job(stated, *fault, &redaction),
        };
        let by_queue = death.as_ref().and_then(|death| self.queues.lane_of(death.queue));
        let by_header = written.text(name::LANE).and_then(Lane::from_name);
        // Without a reason, our headers are those of a parked job. The broker says where it dropped that job.
        let lane = if stated.is_some() { by_header } else { by_queue.or(by_header) };
        let metadata = headers::metadata(properties, lane.unwrap_or(Lane::Bulk), false);
        let client_id = job.and_then(|job| job.client_id.as_deref());
        StoredLetter {
            reason,
            detail,
            id: match job {
                Some(job) => JobId::of(&metadata, job),
                None => JobId::of_invalid(&metadata),
            },
            fingerprint: match job {
                Some(job) => Some(job.fingerprint),
                None => written.text(name::FINGERPRINT).and_then(Fingerprint::parse),
            },
            is_job: job.is_some(),
            body_bytes: body.len(),
            lane,
            client_id: client_id.map(shown),
            client: client_id.map(Fingerprint::of),
            code: written.text(name::CODE).map(shown),
            http_status: written.count(name::HTTP_STATUS),
            attempts: written.count(name::ATTEMPTS),
            last_error: written.text(name::LAST_ERROR).map(error),
            published_at: metadata.published_at,
            first_failed_at: written.time(name::FIRST_FAILED_AT),
            dead_at: written.time(name::DEAD_AT).or(death.and_then(|death| death.at)),
            ambiguity: written.text(name::AMBIGUITY).and_then(Ambiguity::from_name),
            replays: written.count(name::REPLAYS).unwrap_or(0),
            headers_dropped: written.get(name::HEADERS_DROPPED) == Some(&AMQPValue::Boolean(true)),
        }
    }

    /// The reason and the queue of a death, redacted.
    pub(super) fn shown_death(
        &self,
        death: &Death<'_>,
        redaction: &Redaction<'_>,
    ) -> (String, String) {
        let is_reason = REASONS_OF_THE_BROKER.contains(&death.reason);
        let names = self.queues.all_retry().chain(Lane::ALL.map(|lane| self.queues.lane(lane)));
        let is_queue = names.into_iter().any(|name| name.as_str() == death.queue);
        let unknown = [NO_REASON, NO_QUEUE];
        (
            redaction.word(
                death.reason,
                is_reason || unknown.contains(&death.reason),
                MAX_TEXT_CHARS,
            ),
            redaction.word(
                death.queue,
                is_queue || unknown.contains(&death.queue),
                MAX_QUEUE_CHARS,
            ),
        )
    }

    /// The detail of a dead letter without a reason of ours.
    fn dropped(&self, death: Option<&Death<'_>>, redaction: &Redaction<'_>) -> String {
        match death {
            Some(death) => {
                let (reason, queue) = self.shown_death(death, redaction);
                format!("the broker moved it here out of {queue}: {reason}")
            }
            None => "no header says why it is here: a producer may have published it".to_owned(),
        }
    }
}

/// The stated reason and its detail.
fn why(stated: &str, detail: &str, redaction: &Redaction<'_>) -> (DeadReason, String) {
    if let Some(reason) = Reason::from_name(stated) {
        return (DeadReason::Stated(reason), redaction.text(detail, MAX_DETAIL_CHARS));
    }
    let stated = redaction.text(stated, MAX_TEXT_CHARS);
    (DeadReason::Other, redaction.text(&format!("{stated}: {detail}"), MAX_DETAIL_CHARS))
}

/// The same for a body that is no job. The fault comes from the body, because the header may repeat a secret that
/// cannot be searched for.
fn why_no_job(stated: &str, fault: InvalidJob, redaction: &Redaction<'_>) -> (DeadReason, String) {
    match Reason::from_name(stated) {
        Some(Reason::InvalidJob) => (DeadReason::Stated(Reason::InvalidJob), fault.to_string()),
        Some(reason) => {
            (DeadReason::Stated(reason), format!("not shown, because the body is no job: {fault}"))
        }
        None => {
            let stated = redaction.text(stated, MAX_TEXT_CHARS);
            (DeadReason::Other, format!("{stated}: not shown, because the body is no job: {fault}"))
        }
    }
}
