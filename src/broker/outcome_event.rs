//! The outcome event of a job that ended: the job's record by the specification `CloudEvents` 1.0, in structured mode.
//!
//! An event is confirmed before its job is acked. So a crash between the two repeats it, and the id lets readers
//! count it once: it is made from the message and the outcome.

use std::fmt;

use lapin::types::ShortString;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    event_properties::{EVENT_TYPE, EventId, EventProperties},
    outgoing::{OutgoingMessage, OutgoingProperties},
};
use crate::{
    domain::{JobRecord, Reason, Rfc3339Text},
    metrics::Target,
};

/// Most events have fewer bytes.
const USUAL_SIZE: usize = 768;

/// What tells a job from others. Without `Debug`, which would print the token.
#[derive(Clone, Copy)]
pub(super) struct JobIdentity<'a> {
    /// The producer's id.
    pub(super) message_id: Option<&'a str>,
    /// The message's body.
    pub(super) body: &'a [u8],
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: EventId,
    source: fmt::Arguments<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
    time: Rfc3339Text,
    datacontenttype: &'static str,
    data: &'a JobRecord,
}

/// The message with the event of a job, for the queue of outcome events. `family` names the worker's queues.
pub(super) fn message(
    record: &JobRecord,
    job: JobIdentity<'_>,
    queue: &ShortString,
    family: &str,
) -> OutgoingMessage {
    let id = id(record, job);
    let event = CloudEvent {
        specversion: "1.0",
        id,
        source: format_args!("revoker/{family}"),
        kind: EVENT_TYPE,
        time: record.settled_at_text(),
        datacontenttype: "application/json",
        data: record,
    };
    let mut body = Vec::with_capacity(USUAL_SIZE);
    // Writing texts and numbers to memory cannot fail.
    let _ = serde_json::to_writer(&mut body, &event);
    let event = EventProperties { id, settled_at: record.settled_at };
    let properties = OutgoingProperties::Event(event);
    let (target, queue) = (Target::Outcome, queue.clone());
    OutgoingMessage { target, queue, body, properties, charge: None }
}

/// The id of an event: equal for each repeat, and different for another job or another outcome. Each part is hashed after
/// its length, so that no two jobs share an id by a shifted boundary.
///
/// Where the record must not show a hash of the token, the id is made of the job's id: message id and body may hold the
/// token, and a reader could confirm a token that he guesses. Without a job's id, nothing identifies the job, and the id
/// is random.
fn id(record: &JobRecord, job: JobIdentity<'_>) -> EventId {
    let reason = record.reason.map(Reason::as_str).unwrap_or_default();
    let identity: [&[u8]; 2] = match (record.hides_token, &record.job_id) {
        (false, _) => [job.message_id.unwrap_or_default().as_bytes(), job.body],
        (true, Some(id)) => [id.as_bytes(), b""],
        (true, None) => return EventId::random(),
    };
    let mut digest = Sha256::new();
    for part in identity.into_iter().chain([record.outcome.as_bytes(), reason.as_bytes()]) {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    EventId::of(&digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        broker::queues::short,
        domain::{Fingerprint, Lane, Proof, TokenName},
    };

    fn record(outcome: &'static str, reason: Option<Reason>) -> JobRecord {
        let token =
            TokenName { fingerprint: Fingerprint::parse("ba7816bf8f01"), token_sha256: None };
        JobRecord {
            job_id: Some("logout-7".to_owned()),
            token,
            lane: Lane::Interactive,
            outcome,
            reason,
            detail: None,
            code: None,
            http_status: None,
            attempts: 2,
            requested_at: Some(SystemTime::UNIX_EPOCH),
            settled_at: SystemTime::UNIX_EPOCH + Duration::from_secs(60),
            profile: "alignet".into(),
            endpoint: "https://auth.example".into(),
            client_id: Some("shop".into()),
            proof: Proof::Said,
            trace_id: None,
            hides_token: false,
        }
    }

    const JOB: JobIdentity<'_> = JobIdentity { message_id: Some("logout-7"), body: b"{}" };

    #[test]
    fn an_event_is_a_cloud_event_with_the_record_as_its_data() {
        let queue = short("outcomes");
        let sent = message(&record("revoked", None), JOB, &queue, "revocations");
        let event: Value = serde_json::from_slice(&sent.body).unwrap();
        let id = event["id"].as_str().unwrap();
        assert_eq!(
            event,
            json!({
                "specversion": "1.0",
                "id": id,
                "source": "revoker/revocations",
                "type": "revoker.job.settled.v1",
                "time": "1970-01-01T00:01:00Z",
                "datacontenttype": "application/json",
                "data": {
                    "job_id": "logout-7",
                    "fingerprint": "ba7816bf8f01",
                    "lane": "interactive",
                    "outcome": "revoked",
                    "attempts": 2,
                    "requested_at": "1970-01-01T00:00:00Z",
                    "settled_at": "1970-01-01T00:01:00Z",
                    "profile": "alignet",
                    "endpoint": "https://auth.example",
                    "client_id": "shop",
                    "proof": "said",
                },
            })
        );
        let properties = sent.properties();
        let content_type = properties.content_type().clone().unwrap();
        assert_eq!(content_type.as_str(), "application/cloudevents+json");
        assert_eq!(properties.message_id().clone().unwrap().as_str(), id);
        assert_eq!(*properties.delivery_mode(), Some(2));
    }

    #[test]
    fn a_repeat_has_the_same_id_and_no_other_job_or_outcome_has_it() {
        let revoked = record("revoked", None);
        let again =
            JobRecord { settled_at: SystemTime::UNIX_EPOCH, attempts: 3, ..revoked.clone() };
        assert_eq!(id(&revoked, JOB), id(&again, JOB));
        let others = [
            id(&revoked, JobIdentity { message_id: None, ..JOB }),
            id(&revoked, JobIdentity { message_id: Some("logout-8"), ..JOB }),
            id(&revoked, JobIdentity { body: b"{ }", ..JOB }),
            id(&record("duplicate", None), JOB),
            id(&record("dead_lettered", Some(Reason::Rejected)), JOB),
            id(&record("dead_lettered", Some(Reason::Exhausted)), JOB),
        ];
        let mut all = others.to_vec();
        all.push(id(&revoked, JOB));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), others.len() + 1);
    }

    /// A reader who may not know the token must not be able to confirm a guess either.
    #[test]
    fn where_the_token_is_hidden_the_id_is_made_of_neither_message_nor_body() {
        let hidden = JobRecord { hides_token: true, ..record("revoked", None) };
        let of_token = JobIdentity { message_id: Some("the token"), body: b"the token" };
        assert_eq!(id(&hidden, JOB), id(&hidden, of_token), "the job's id identifies it");
        let other = JobRecord { job_id: Some("logout-8".to_owned()), ..hidden.clone() };
        assert_ne!(id(&hidden, JOB), id(&other, JOB));
        let nameless = JobRecord { job_id: None, ..hidden };
        assert_ne!(id(&nameless, JOB), id(&nameless, JOB), "it is random");
    }

    /// Two jobs with one message id, of which neither can be read.
    #[test]
    fn bodies_that_are_no_jobs_have_events_of_their_own() {
        let unread = JobRecord { token: TokenName::default(), ..record("dead_lettered", None) };
        assert_ne!(id(&unread, JOB), id(&unread, JobIdentity { body: b"{ }", ..JOB }));
    }
}
