//! Reads the values of a JSON body that a profile's rules use.
//!
//! Only these values are kept, so the memory is bounded by the body's size. A key on the way to one of them that occurs
//! twice invalidates the whole body: two different codes in one answer prove nothing.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{domain::without_mark, endpoint::shape::Shape};

/// The places in a body, as a tree of keys. Arrays are not searched.
#[derive(Debug, Default)]
pub struct PointerTree {
    root: PointerNode,
    /// For each place, whether its value must be sound JSON. The text of a rejection need not be.
    strict: Vec<bool>,
}

#[derive(Debug, Default)]
struct PointerNode {
    children: BTreeMap<String, PointerNode>,
    /// The number of the place that ends here.
    place: Option<usize>,
}

/// The fault of a JSON pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointerFault {
    /// It does not begin with a slash, a tilde in it escapes nothing, or it has too many keys.
    Syntax,
    /// One pointer is a prefix of another.
    Nested,
}

impl PointerTree {
    /// Adds the place of a JSON pointer (RFC 6901), if it is new. Returns its number.
    pub fn add(&mut self, pointer: &str, strict: bool) -> Result<usize, PointerFault> {
        let keys = pointer_keys(pointer).ok_or(PointerFault::Syntax)?;
        let mut node = &mut self.root;
        for key in keys {
            if node.place.is_some() {
                return Err(PointerFault::Nested);
            }
            node = node.children.entry(key).or_default();
        }
        if !node.children.is_empty() {
            return Err(PointerFault::Nested);
        }
        let place = *node.place.get_or_insert(self.strict.len());
        if place == self.strict.len() {
            self.strict.push(strict);
        }
        self.strict[place] |= strict;
        Ok(place)
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.strict.len()
    }
}

/// The most keys of a pointer: the tree is walked and dropped by recursion.
const MOST_KEYS: usize = 16;

/// The keys of a JSON pointer to a place inside an object.
pub fn pointer_keys(pointer: &str) -> Option<Vec<String>> {
    let keys = pointer.strip_prefix('/')?.split('/').map(|key| {
        let tildes = key.matches('~').count();
        let escapes = key.matches("~0").count() + key.matches("~1").count();
        (tildes == escapes).then(|| key.replace("~1", "/").replace("~0", "~"))
    });
    keys.take(MOST_KEYS + 1).collect::<Option<Vec<_>>>().filter(|keys| keys.len() <= MOST_KEYS)
}

/// A body, as a profile's rules see it. Without `Debug`: it may repeat the token and the client's secret.
pub enum AnswerBody<'a> {
    /// An empty or blank body.
    Empty,
    /// A JSON object, with the values at the tree's places.
    Object(Vec<Found<'a>>),
    /// Any other body, or an incomplete one.
    Other,
}

/// The value at a place.
#[derive(Default)]
pub struct Found<'a> {
    /// `Absent` where the value need not be sound.
    pub(in crate::endpoint) value: Shape<'a>,
    /// `None` if there is none.
    pub(in crate::endpoint) raw: Option<&'a RawValue>,
}

impl Found<'_> {
    /// Whether there is a value other than `null`.
    pub fn is_present(&self) -> bool {
        !matches!(self.value, Shape::Absent)
    }

    /// The value, if it is a whole number within 64 bits.
    pub fn integer(&self) -> Option<i64> {
        self.raw.filter(|_| matches!(self.value, Shape::Other))?.get().parse().ok()
    }
}

impl<'a> AnswerBody<'a> {
    /// Reads a whole body. A byte order mark before JSON is ignored; a mark alone is no empty body.
    pub fn read(body: &'a [u8], tree: &PointerTree) -> Self {
        if body.trim_ascii().is_empty() {
            return Self::Empty;
        }
        match object(body, tree) {
            Some(Ok(Some(found))) => Self::Object(found),
            _ => Self::Other,
        }
    }

    /// The error of reading a body as a JSON object; `None` without one.
    pub fn refused(body: &'a [u8], tree: &PointerTree) -> Option<serde_json::Error> {
        object(body, tree)?.err()
    }
}

/// The values of a JSON object. `None` if the body is no text, `Ok(None)` if it is another JSON value.
fn object<'a>(
    body: &'a [u8],
    tree: &PointerTree,
) -> Option<serde_json::Result<Option<Vec<Found<'a>>>>> {
    let text = std::str::from_utf8(without_mark(body)).ok()?;
    let mut raw = vec![None; tree.len()];
    let mut json = serde_json::Deserializer::from_str(text);
    let is_object = NodeSeed { node: &tree.root, raw: &mut raw }
        .deserialize(&mut json)
        .and_then(|is_object| json.end().map(|()| is_object));
    Some(is_object.and_then(|is_object| {
        let found = || raw.into_iter().zip(&tree.strict).map(|(raw, strict)| found(raw, *strict));
        is_object.then(|| found().collect()).transpose()
    }))
}

/// The value of a place. Fails if it must be sound and is not.
fn found(raw: Option<&RawValue>, strict: bool) -> serde_json::Result<Found<'_>> {
    let value = match raw {
        Some(raw) if strict => serde_json::from_str(raw.get())?,
        _ => Shape::Absent,
    };
    Ok(Found { value, raw })
}

/// Reads the value at a node. Returns whether it is an object.
struct NodeSeed<'t, 'r, 'a> {
    node: &'t PointerNode,
    raw: &'r mut Vec<Option<&'a RawValue>>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, '_, 'de> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        match self.node.place {
            Some(place) => {
                self.raw[place] = Some(<&RawValue>::deserialize(deserializer)?);
                Ok(false)
            }
            None => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, '_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        let mut seen: Vec<&str> = Vec::new();
        while let Some(key) = fields.next_key::<JsonKey<'de>>()? {
            let Some((name, child)) = self.node.children.get_key_value(key.0.as_ref()) else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.contains(&name.as_str()) {
                return Err(A::Error::custom("a key occurs twice"));
            }
            seen.push(name);
            fields.next_value_seed(NodeSeed { node: child, raw: &mut *self.raw })?;
        }
        Ok(true)
    }
}

/// A key, borrowed unless it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct JsonKey<'a>(#[serde(borrow)] Cow<'a, str>);
