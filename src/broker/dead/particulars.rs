//! What came with a dead letter besides what its table row tells.

use lapin::{BasicProperties, types::ShortString};
use serde_json::Value;

use super::{
    read::{Reader, deaths},
    veil::Veil,
};
use crate::{
    broker::headers::{Headers, travels},
    domain::{Job, without_mark},
};

/// Characters of a property that are kept: the longest that AMQP can carry.
const MAX_CHARS: usize = 255;

/// Names of a producer's headers that are kept.
const MAX_NAMES: usize = 100;

/// What came with a letter. All texts are on one line and show no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Particulars {
    /// The properties that are set, by name.
    pub properties: Vec<(&'static str, String)>,
    /// The names of the headers that are not ours. Their values are the producer's, and may be secret.
    pub foreign_headers: Vec<String>,
    /// What the broker wrote of its deaths, a sentence for each.
    pub deaths: Vec<String>,
    /// The job's fields, its token as a fingerprint; `None` if the body is no job: nobody can say then
    /// which part of it is secret.
    pub job: Option<Value>,
    /// How many other fields its body has. They are the producer's, and may be secret.
    pub other_fields: usize,
}

/// The fields of a job that are shown, in the order of the endpoint's page.
const SHOWN_FIELDS: [&str; 5] = ["action", "username", "audience", "client_id", "expires_at"];

impl Reader {
    /// Reads what came with one letter.
    #[must_use]
    pub fn particulars(&self, properties: &BasicProperties, body: &[u8]) -> Particulars {
        let job = Job::parse(body, &self.defaults).ok();
        // A body that is no job may be of any size: it is not read.
        let fields = match job.as_ref().map(|_| serde_json::from_slice(without_mark(body))) {
            Some(Ok(Value::Object(fields))) => fields,
            _ => serde_json::Map::new(),
        };
        let veil = Veil::of(job.as_ref());
        let written = Headers(properties.headers().as_ref());
        let names = properties.headers().iter().flat_map(|headers| headers.inner().keys());
        let foreign = names.map(ShortString::as_str).filter(|name| travels(name));
        Particulars {
            properties: set(properties, &veil),
            foreign_headers: foreign.take(MAX_NAMES).map(|name| veil.id(name, MAX_CHARS)).collect(),
            deaths: deaths(written)
                .map(|death| {
                    let (reason, queue) = self.shown_death(&death, &veil);
                    format!("{reason} in {queue}, {} time(s)", death.count)
                })
                .collect(),
            other_fields: fields.keys().filter(|name| !is_known(name)).count(),
            job: job.as_ref().map(|job| shown_job(job, &fields, &veil)),
        }
    }
}

fn is_known(name: &str) -> bool {
    SHOWN_FIELDS.contains(&name) || ["refresh_token", "client_secret"].contains(&name)
}

fn shown_job(job: &Job, fields: &serde_json::Map<String, Value>, veil: &Veil<'_>) -> Value {
    let mut shown = serde_json::Map::new();
    for name in SHOWN_FIELDS {
        match fields.get(name) {
            Some(Value::String(text)) => {
                shown.insert(name.to_owned(), veil.id(text, MAX_CHARS).into())
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

/// The properties that are set, but for those that have a place of their own.
fn set(properties: &BasicProperties, veil: &Veil<'_>) -> Vec<(&'static str, String)> {
    let texts = [
        ("content_type", properties.content_type()),
        ("content_encoding", properties.content_encoding()),
        ("message_id", properties.message_id()),
        ("correlation_id", properties.correlation_id()),
        ("reply_to", properties.reply_to()),
        ("expiration", properties.expiration()),
        ("type", properties.kind()),
        ("user_id", properties.user_id()),
        ("app_id", properties.app_id()),
    ];
    let texts = texts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let mut set: Vec<_> =
        texts.map(|(name, value)| (name, veil.id(value.as_str(), MAX_CHARS))).collect();
    for (name, number) in
        [("delivery_mode", properties.delivery_mode()), ("priority", properties.priority())]
    {
        set.extend(number.map(|number| (name, number.to_string())));
    }
    set
}
