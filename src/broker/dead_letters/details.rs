//! The details of a dead letter that only `show` prints.

use std::collections::BTreeMap;

use lapin::{BasicProperties, types::ShortString};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{
    message::texts_of,
    reader::{DeadLetterReader, deaths},
    redaction::Redaction,
};
use crate::{
    broker::headers::{Headers, is_copied},
    domain::{Job, without_mark},
};

/// The most characters of a property: AMQP's limit.
const MAX_CHARS: usize = 255;

/// The most names of a producer's headers.
const MAX_NAMES: usize = 100;

/// The details of one message. Every text is on one line and shows no token.
#[derive(Debug, Serialize)]
pub struct MessageDetails {
    /// The job's fields, its token as a fingerprint. `None` if the body is no job: any part may be secret then.
    pub job: Option<Value>,
    /// The number of the body's other fields. They may be secret.
    pub other_fields: usize,
    /// The properties that are set and have no field in `StoredLetter`.
    #[serde(serialize_with = "sorted_map")]
    pub properties: Vec<(&'static str, String)>,
    /// The names of the producer's headers. Their values may be secret.
    pub foreign_headers: Vec<String>,
    /// The entries of the broker's `x-death`, as sentences.
    pub deaths: Vec<String>,
}

fn sorted_map<S: Serializer>(
    properties: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    properties.iter().cloned().collect::<BTreeMap<_, _>>().serialize(serializer)
}

/// The fields of a job that are shown, in the endpoint's order.
const SHOWN_FIELDS: [&str; 5] = ["action", "username", "audience", "client_id", "expires_at"];

impl DeadLetterReader {
    /// Reads the details of one message.
    pub(super) fn details(&self, properties: &BasicProperties, body: &[u8]) -> MessageDetails {
        let job = Job::parse(body, &self.defaults).ok();
        // A body that is no job may have any size, so it is not parsed.
        let fields = match job.as_ref().map(|_| serde_json::from_slice(without_mark(body))) {
            Some(Ok(Value::Object(fields))) => fields,
            _ => serde_json::Map::new(),
        };
        let redaction = Redaction::of(job.as_ref());
        let written = Headers(properties.headers().as_ref());
        let names = properties.headers().iter().flat_map(|headers| headers.inner().keys());
        let foreign = names.map(ShortString::as_str).filter(|name| is_copied(name));
        MessageDetails {
            properties: properties_of(properties, &redaction),
            foreign_headers: foreign
                .take(MAX_NAMES)
                .map(|name| redaction.id(name, MAX_CHARS))
                .collect(),
            deaths: deaths(written)
                .map(|death| {
                    let (reason, queue) = self.shown_death(&death, &redaction);
                    format!("{reason} in {queue}, {} time(s)", death.count)
                })
                .collect(),
            other_fields: fields.keys().filter(|name| !is_known(name)).count(),
            job: job.as_ref().map(|job| shown_job(job, &fields, &redaction)),
        }
    }
}

fn is_known(name: &str) -> bool {
    SHOWN_FIELDS.contains(&name) || ["refresh_token", "client_secret"].contains(&name)
}

fn shown_job(
    job: &Job,
    fields: &serde_json::Map<String, Value>,
    redaction: &Redaction<'_>,
) -> Value {
    let mut shown = serde_json::Map::new();
    for name in SHOWN_FIELDS {
        match fields.get(name) {
            Some(Value::String(text)) => {
                shown.insert(name.to_owned(), redaction.id(text, MAX_CHARS).into())
            }
            Some(other) => shown.insert(name.to_owned(), other.clone()),
            None => None,
        };
    }
    if fields.contains_key("client_secret") {
        shown.insert("client_secret".to_owned(), "[redacted]".into());
    }
    let token = format!("[{}]", job.fingerprint);
    shown.insert("refresh_token".to_owned(), token.into());
    Value::Object(shown)
}

fn properties_of(
    properties: &BasicProperties,
    redaction: &Redaction<'_>,
) -> Vec<(&'static str, String)> {
    let texts = texts_of(properties).filter(|(name, _)| *name != "cluster_id");
    let mut set: Vec<_> = texts.map(|(name, text)| (name, redaction.id(text, MAX_CHARS))).collect();
    for (name, number) in
        [("delivery_mode", properties.delivery_mode()), ("priority", properties.priority())]
    {
        set.extend(number.map(|number| (name, number.to_string())));
    }
    set
}
