//! Compares the schemas of `docs/schemas` with the code. Each module does so for its own part.

use std::collections::BTreeSet;

use serde::{
    Deserialize, Deserializer,
    de::{Visitor, value::Error},
    forward_to_deserialize_any,
};
use serde_json::Value;

/// The schema of a job.
pub(crate) fn job() -> Value {
    read(include_str!("../../docs/schemas/job.schema.json"))
}

/// The schema of the headers of a dead letter.
pub(crate) fn dead_letter_headers() -> Value {
    read(include_str!("../../docs/schemas/dead-letter-headers.schema.json"))
}

/// The schema of the headers of a parked job.
pub(crate) fn parked_job_headers() -> Value {
    read(include_str!("../../docs/schemas/parked-job-headers.schema.json"))
}

/// The schema of an outcome event.
pub(crate) fn outcome_event() -> Value {
    read(include_str!("../../docs/schemas/outcome-event.schema.json"))
}

/// The description of the queues.
pub(crate) fn asyncapi() -> Value {
    read(include_str!("../../docs/schemas/asyncapi.json"))
}

/// The description of the admin port.
pub(crate) fn openapi() -> Value {
    read(include_str!("../../docs/schemas/openapi.json"))
}

/// Jobs that the worker accepts, and bodies that it refuses.
pub(crate) fn job_cases() -> Value {
    read(include_str!("../../docs/schemas/job.cases.json"))
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The names of the fields of an object in a schema.
pub(crate) fn keys(schema: &Value, pointer: &str) -> BTreeSet<String> {
    schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect()
}

/// The texts of a list in a schema, each of them once.
pub(crate) fn texts(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let list = schema.pointer(pointer).unwrap().as_array().unwrap();
    let texts: BTreeSet<_> = list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    assert_eq!(texts.len(), list.len(), "{pointer}");
    texts
}

/// The names of these values.
pub(crate) fn names<T: ToString>(all: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    all.into_iter().map(|one| one.to_string()).collect()
}

/// The names of the fields that a struct reads.
pub(crate) fn fields_of<'de, T: Deserialize<'de>>() -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    assert!(T::deserialize(FieldNames(&mut fields)).is_err());
    fields
}

/// Notes the fields that a struct asks for, and reads nothing.
struct FieldNames<'a>(&'a mut BTreeSet<String>);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(fields.iter().map(|field| (*field).to_owned()));
        Err(serde::de::Error::custom("the names alone are wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
