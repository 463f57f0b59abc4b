//! Fills in the fields that a line leaves out.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serializer as _,
    de::{MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::{Job, JobDefaults};

use super::{error::InputOpenError, fields};

/// Values for fields that a line lacks, or has as `null`. They become part of the job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldDefaults {
    pub audience: Option<String>,
    pub client_id: Option<String>,
    pub username: Option<String>,
    /// An RFC 3339 time or Unix seconds.
    pub expires_at: Option<String>,
}

/// The defaults as JSON.
#[derive(Debug)]
pub(super) struct FieldFiller(Vec<(&'static str, Box<RawValue>)>);

impl FieldFiller {
    /// Fails if the worker would refuse a value in any job.
    pub(super) fn new(field_defaults: &FieldDefaults) -> Result<Self, InputOpenError> {
        let texts = [
            ("audience", &field_defaults.audience),
            ("client_id", &field_defaults.client_id),
            ("username", &field_defaults.username),
        ];
        let mut given = Vec::new();
        for (name, text) in texts {
            if let Some(text) = text {
                given.push((name, to_raw_value(text)));
            }
        }
        if let Some(time) = &field_defaults.expires_at {
            given.push(("expires_at", to_raw_value(&fields::time(time))));
        }
        // Text always serializes, so nothing is lost.
        let given =
            given.into_iter().filter_map(|(name, value)| Some((name, value.ok()?))).collect();
        let filler = Self(given);
        match filler.fill(PROBE).map(|job| Job::parse(&job, &JobDefaults::default())) {
            Some(Err(fault)) => Err(InputOpenError::FieldDefault(fault)),
            _ => Ok(filler),
        }
    }

    /// Returns the job with its missing fields; `None` if it lacks nothing or is no object. Other fields stay
    /// as they are, also unknown ones.
    pub(super) fn fill(&self, body: &[u8]) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let Object(mut fields) = serde_json::from_slice(body).ok()?;
        for (name, fill) in &self.0 {
            // In place, so that a field that occurs twice is kept and refused.
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

/// The smallest job, for checking the defaults.
const PROBE: &[u8] = br#"{"refresh_token":"t"}"#;

const NULL: &str = "null";

/// The initial capacity for the defaults, in bytes.
const ROOM: usize = 128;

/// The fields of a JSON object, in their order and with their original values.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
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

        deserializer.deserialize_map(ObjectVisitor).map(Self)
    }
}
