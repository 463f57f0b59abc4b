//! What is filled in where a line leaves a field out.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serializer as _,
    de::{MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::{Job, JobDefaults};

use super::{cells, error::OpenError};

/// Values for fields that a line lacks, or has as `null`. They become part of the job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fills {
    /// The audience to name.
    pub audience: Option<String>,
    /// The client on whose behalf to call.
    pub client_id: Option<String>,
    /// The merchant's user.
    pub username: Option<String>,
    /// When the tokens die by themselves: an RFC 3339 time or Unix seconds.
    pub expires_at: Option<String>,
}

/// The fills as JSON, ready to be put into jobs.
#[derive(Debug)]
pub(super) struct Filler(Vec<(&'static str, Box<RawValue>)>);

impl Filler {
    /// # Errors
    ///
    /// [`OpenError::Fill`] for a value that the worker would refuse in any job.
    pub(super) fn new(fills: &Fills) -> Result<Self, OpenError> {
        let texts = [
            ("audience", &fills.audience),
            ("client_id", &fills.client_id),
            ("username", &fills.username),
        ];
        let mut given = Vec::new();
        for (name, text) in texts {
            if let Some(text) = text {
                given.push((name, to_raw_value(text)));
            }
        }
        if let Some(time) = &fills.expires_at {
            given.push(("expires_at", to_raw_value(&cells::time(time))));
        }
        // Text is always JSON: nothing is lost here.
        let given =
            given.into_iter().filter_map(|(name, value)| Some((name, value.ok()?))).collect();
        let filler = Self(given);
        match filler.fill(PROBE).map(|job| Job::parse(&job, &JobDefaults::default())) {
            Some(Err(fault)) => Err(OpenError::Fill(fault)),
            _ => Ok(filler),
        }
    }

    /// The job with what it lacks; `None` if it lacks nothing, or is no object to begin with. All other
    /// fields stay as they are, also those that nobody knows.
    pub(super) fn fill(&self, body: &[u8]) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let Object(mut fields) = serde_json::from_slice(body).ok()?;
        for (name, fill) in &self.0 {
            // In place: a field that stands twice must go on doing so, and be refused for it.
            match fields.iter_mut().find(|(field, _)| field == name) {
                Some((_, value)) if value.get() == NULL => *value = fill,
                Some(_) => {}
                None => fields.push(((*name).to_owned(), fill)),
            }
        }
        let mut filled = Vec::with_capacity(body.len() + ROOM);
        serde_json::Serializer::new(&mut filled).collect_map(fields).ok()?;
        Some(filled)
    }
}

/// The least job, to try fills on.
const PROBE: &[u8] = br#"{"refresh_token":"t"}"#;

/// A field of this value counts as left out.
const NULL: &str = "null";

/// Bytes that fills mostly need.
const ROOM: usize = 128;

/// The fields of a JSON object in their order, with their values as they are written.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Fields).map(Self)
    }
}
