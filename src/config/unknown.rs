//! Keys that nobody reads: misspelt ones, most often.

use std::collections::BTreeSet;

use super::{
    faults::{Fault, Problem},
    key::Key,
    layer::{Entry, Layer, Origin},
    service_links,
    value::Value,
};

/// A slip in the last part of a key is likelier than one in the section: so much more alike than it
/// looks is a known key of the same section.
const SAME_SECTION: f64 = 0.1;

/// A fault for every key of `layer` that is neither known nor reported already; one for all links to
/// services.
pub(super) fn faults(layer: &Layer, known: &BTreeSet<Key>, reported: &BTreeSet<Key>) -> Vec<Fault> {
    let is_section = |key: &Key| known.iter().any(|other| other != key && other.is_within(key));
    let settings: Vec<&Key> = known.iter().filter(|key| !is_section(key)).collect();
    let is_fine = |key: &Key, value: &Value| {
        known.contains(key)
            || reported.contains(key)
            // A section with nothing but its header.
            || matches!(value, Value::Table) && is_section(key)
    };
    let unknown = layer.entries.iter().filter(|(key, entry)| !is_fine(key, &entry.value));
    let (links, unknown): (Vec<_>, Vec<_>) = unknown.partition(|(_, entry)| link(entry).is_some());
    let links: Vec<&str> = links.into_iter().filter_map(|(_, entry)| link(entry)).collect();
    let unknown = unknown.into_iter();
    unknown
        .map(|(key, entry)| {
            let place = Some(entry.origin.to_string());
            let nearest = nearest(key, &settings);
            match entry.origin {
                Origin::Variable(_) => {
                    let problem = unknown_one("variable", nearest.map(Key::variable));
                    Fault::new(None, place, problem)
                }
                Origin::Default | Origin::File(..) => {
                    let problem = unknown_one("key", nearest.map(Key::to_string));
                    Fault::new(Some(key.to_string()), place, problem)
                }
            }
        })
        .chain(service_links::fault(&links))
        .collect()
}

/// The name of a variable that is a link to a service.
fn link(entry: &Entry) -> Option<&str> {
    match &entry.origin {
        Origin::Variable(name) if service_links::is_link(name, &entry.value) => Some(name),
        _ => None,
    }
}

fn unknown_one(kind: &str, nearest: Option<String>) -> Problem {
    let nearest = nearest.unwrap_or_default();
    Problem::new(format!("is an unknown {kind}"), format!("the nearest known one is {nearest}"))
}

fn nearest<'a>(key: &Key, known: &[&'a Key]) -> Option<&'a Key> {
    let name = key.to_string();
    let likeness = |known: &Key| {
        let alike = strsim::normalized_damerau_levenshtein(&name, &known.to_string());
        if known.section() == key.section() { alike + SAME_SECTION } else { alike }
    };
    known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
