//! What is written on a dead letter. Whoever may publish can forge all of it, so every text is brought
//! onto one line, cut, and searched for the token, before it can reach a terminal.

#[cfg(test)]
mod tests;

use std::time::SystemTime;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use crate::{
    broker::{
        headers::{self, Headers, name},
        queues::Queues,
    },
    domain::{
        Ambiguity, DeadReason, Fingerprint, Job, JobDefaults, JobId, Lane, Reason, Redactor,
        StoredLetter, cut,
    },
};

/// Characters of a detail that are kept: several times what a worker writes.
const MAX_DETAIL_CHARS: usize = 500;

/// Characters of any other text that are kept.
const MAX_TEXT_CHARS: usize = 100;

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
        reason: entry.text("reason").unwrap_or("no reason given"),
        queue: entry.text("queue").unwrap_or("an unknown queue"),
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
        let job = Job::parse(body, &self.defaults).ok();
        let redactor = Redactor::new(job.iter().map(|job| &job.token));
        let shown = |text: &str| cut(&redactor.clean(text), MAX_TEXT_CHARS);
        let (reason, detail) = why(stated, written.text(name::DETAIL), death.as_ref());
        let by_queue = death.as_ref().and_then(|death| self.queues.lane_of(death.queue));
        let by_header = written.text(name::LANE).and_then(Lane::from_name);
        // Ours are a parked job's, from before the broker dropped it: it says where that was.
        let lane = if stated.is_some() { by_header } else { by_queue.or(by_header) };
        // Its history is not asked for, so neither is the time that bounds it.
        let arrival = headers::read(
            properties,
            lane.unwrap_or(Lane::Bulk),
            false,
            &self.queues,
            SystemTime::UNIX_EPOCH,
        );
        StoredLetter {
            reason,
            detail: cut(&redactor.clean(&detail), MAX_DETAIL_CHARS),
            id: match &job {
                Some(job) => JobId::of(&arrival, job),
                None => JobId::of_invalid(&arrival, body),
            },
            fingerprint: match &job {
                Some(job) => Some(job.fingerprint),
                None => written.text(name::FINGERPRINT).and_then(Fingerprint::parse),
            },
            is_job: job.is_some(),
            body_bytes: body.len(),
            lane,
            client_id: job.as_ref().and_then(|job| job.client_id.as_deref()).map(shown),
            code: written.text(name::CODE).map(shown),
            http_status: written.count(name::HTTP_STATUS),
            attempts: written.count(name::ATTEMPTS),
            last_error: written.text(name::LAST_ERROR).map(shown),
            published_at: arrival.published_at,
            first_failed_at: written.time(name::FIRST_FAILED_AT),
            dead_at: written.time(name::DEAD_AT).or(death.and_then(|death| death.at)),
            ambiguity: written.text(name::AMBIGUITY).and_then(Ambiguity::from_name),
            replays: written.count(name::REPLAYS).unwrap_or(0),
            headers_dropped: written.get(name::HEADERS_DROPPED) == Some(&AMQPValue::Boolean(true)),
        }
    }
}

/// The reason, and a sentence about it.
fn why(
    stated: Option<&str>,
    detail: Option<&str>,
    death: Option<&Death<'_>>,
) -> (DeadReason, String) {
    let detail = detail.unwrap_or("no detail given");
    match (stated, stated.and_then(Reason::from_name), death) {
        (_, Some(reason), _) => (DeadReason::Stated(reason), detail.to_owned()),
        (Some(stated), None, _) => {
            let stated = cut(stated, MAX_TEXT_CHARS);
            (DeadReason::Other, format!("{stated}: {detail}"))
        }
        (None, None, Some(Death { reason, queue, .. })) => (
            DeadReason::BrokerDropped,
            format!("the broker moved it here out of {queue}: {reason}"),
        ),
        (None, None, None) => (
            DeadReason::BrokerDropped,
            "it says nothing of how it came here: somebody may have published it".to_owned(),
        ),
    }
}
