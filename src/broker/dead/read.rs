//! What is written on a dead letter. Whoever may publish can forge all of it, so every text is brought
//! onto one line, cut, and searched for the job's secrets, before it can reach a terminal. Where the body is
//! no job, texts that no worker writes are not shown at all.

#[cfg(test)]
mod tests;

use std::time::SystemTime;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::veil::Veil;
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

/// Characters of a detail that are kept: several times what a worker writes.
const MAX_DETAIL_CHARS: usize = 500;

/// Characters of any other text that are kept.
const MAX_TEXT_CHARS: usize = 100;

/// Why the broker moves a message.
const REASONS_OF_THE_BROKER: [&str; 4] = ["expired", "delivery_limit", "maxlen", "rejected"];

/// Stands for what an entry of the broker's does not say.
const NO_REASON: &str = "no reason given";
const NO_QUEUE: &str = "an unknown queue";

/// Characters of a queue's name: all that AMQP can carry.
const MAX_QUEUE_CHARS: usize = 255;

/// Reads the letters of one family of queues.
#[derive(Debug)]
pub struct Reader {
    /// The family.
    pub queues: Queues,
    /// What fills the fields that a job leaves out.
    pub defaults: JobDefaults,
}

/// One entry of the broker's `x-death`: a queue that a message died in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death<'a> {
    /// Why: `expired`, `delivery_limit`, `maxlen`, `rejected`.
    pub reason: &'a str,
    /// The queue.
    pub queue: &'a str,
    /// When it died there for the first time.
    pub at: Option<SystemTime>,
    /// How often it did.
    pub count: u32,
}

/// What the broker wrote of a message's deaths, the latest queue first.
pub fn deaths(headers: Headers<'_>) -> impl Iterator<Item = Death<'_>> {
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

impl Reader {
    /// Reads one letter.
    #[must_use]
    pub fn read(&self, properties: &BasicProperties, body: &[u8]) -> StoredLetter {
        let written = Headers(properties.headers().as_ref());
        let death = deaths(written).next();
        let stated = written.text(name::REASON);
        let parsed = Job::parse(body, &self.defaults);
        let job = parsed.as_ref().ok();
        let veil = Veil::of(job);
        let shown = |text: &str| veil.text(text, MAX_TEXT_CHARS);
        let error =
            |text: &str| veil.word(text, ResultLabel::from_name(text).is_some(), MAX_TEXT_CHARS);
        let (reason, detail) = match (stated, &parsed) {
            (None, _) => (DeadReason::BrokerDropped, self.dropped(death.as_ref(), &veil)),
            (Some(stated), Ok(_)) => {
                why(stated, written.text(name::DETAIL).unwrap_or("no detail given"), &veil)
            }
            (Some(stated), Err(fault)) => why_no_job(stated, *fault, &veil),
        };
        let by_queue = death.as_ref().and_then(|death| self.queues.lane_of(death.queue));
        let by_header = written.text(name::LANE).and_then(Lane::from_name);
        // Ours are a parked job's, from before the broker dropped it: it says where that was.
        let lane = if stated.is_some() { by_header } else { by_queue.or(by_header) };
        let arrival = headers::arrival(properties, lane.unwrap_or(Lane::Bulk), false);
        let client_id = job.and_then(|job| job.client_id.as_deref());
        StoredLetter {
            reason,
            detail,
            id: match job {
                Some(job) => JobId::of(&arrival, job),
                None => JobId::of_invalid(&arrival),
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
            published_at: arrival.published_at,
            first_failed_at: written.time(name::FIRST_FAILED_AT),
            dead_at: written.time(name::DEAD_AT).or(death.and_then(|death| death.at)),
            ambiguity: written.text(name::AMBIGUITY).and_then(Ambiguity::from_name),
            replays: written.count(name::REPLAYS).unwrap_or(0),
            headers_dropped: written.get(name::HEADERS_DROPPED) == Some(&AMQPValue::Boolean(true)),
        }
    }
}

impl Reader {
    /// Why and where a message died, as far as it may be shown.
    pub(super) fn shown_death(&self, death: &Death<'_>, veil: &Veil<'_>) -> (String, String) {
        let is_reason = REASONS_OF_THE_BROKER.contains(&death.reason);
        let names = self.queues.all_retry().chain(Lane::ALL.map(|lane| self.queues.lane(lane)));
        let is_queue = names.into_iter().any(|name| name.as_str() == death.queue);
        let unknown = [NO_REASON, NO_QUEUE];
        (
            veil.word(death.reason, is_reason || unknown.contains(&death.reason), MAX_TEXT_CHARS),
            veil.word(death.queue, is_queue || unknown.contains(&death.queue), MAX_QUEUE_CHARS),
        )
    }

    /// A sentence about a letter that states no reason of ours.
    fn dropped(&self, death: Option<&Death<'_>>, veil: &Veil<'_>) -> String {
        match death {
            Some(death) => {
                let (reason, queue) = self.shown_death(death, veil);
                format!("the broker moved it here out of {queue}: {reason}")
            }
            None => {
                "it says nothing of how it came here: somebody may have published it".to_owned()
            }
        }
    }
}

/// The stated reason, and a sentence about it.
fn why(stated: &str, detail: &str, veil: &Veil<'_>) -> (DeadReason, String) {
    if let Some(reason) = Reason::from_name(stated) {
        return (DeadReason::Stated(reason), veil.text(detail, MAX_DETAIL_CHARS));
    }
    let stated = veil.text(stated, MAX_TEXT_CHARS);
    (DeadReason::Other, veil.text(&format!("{stated}: {detail}"), MAX_DETAIL_CHARS))
}

/// The same for a body that is no job: what is wrong with it is read off it once more, for the header may
/// repeat what nobody can find in the body.
fn why_no_job(stated: &str, fault: InvalidJob, veil: &Veil<'_>) -> (DeadReason, String) {
    match Reason::from_name(stated) {
        Some(Reason::InvalidJob) => (DeadReason::Stated(Reason::InvalidJob), fault.to_string()),
        Some(reason) => {
            (DeadReason::Stated(reason), format!("not shown, for the body is no job: {fault}"))
        }
        None => {
            let stated = veil.text(stated, MAX_TEXT_CHARS);
            (DeadReason::Other, format!("{stated}: not shown, for the body is no job: {fault}"))
        }
    }
}
