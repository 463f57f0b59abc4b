//! Unknown keys: mostly misspelt ones.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    faults::{ConfigFault, Problem},
    form::Form,
    key::ConfigKey,
    layer::{ConfigLayer, LayerEntry, ValueOrigin},
    service_links,
    value::ConfigValue,
};

/// The bonus in similarity for a known key of the same section. A typing error in the last part of a key is
/// more likely than one in the section.
const SAME_SECTION: f64 = 0.1;

/// A fault for every key of `layer` that is neither known nor reported already; one for all links to
/// services.
pub(super) fn faults(
    layer: &ConfigLayer,
    known: &BTreeMap<ConfigKey, Form>,
    reported: &BTreeSet<ConfigKey>,
) -> Vec<ConfigFault> {
    let is_section =
        |key: &ConfigKey| known.keys().any(|other| other != key && other.is_within(key));
    let settings: Vec<&ConfigKey> = known.keys().filter(|key| !is_section(key)).collect();
    let is_fine = |key: &ConfigKey, value: &ConfigValue| {
        known.contains_key(key)
            || reported.contains(key)
            // A section that has only its header.
            || matches!(value, ConfigValue::Table) && is_section(key)
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
                ValueOrigin::Variable(_) => {
                    let problem = unknown_one("variable", nearest.map(ConfigKey::variable));
                    ConfigFault::new(None, place, problem)
                }
                ValueOrigin::Default | ValueOrigin::File(..) => {
                    let problem = unknown_one("key", nearest.map(ConfigKey::to_string));
                    ConfigFault::new(Some(key.to_string()), place, problem)
                }
            }
        })
        .chain(service_links::fault(&links))
        .collect()
}

/// The name of a variable that is a link to a service.
fn link(entry: &LayerEntry) -> Option<&str> {
    match &entry.origin {
        ValueOrigin::Variable(name) if service_links::is_link(name, &entry.value) => Some(name),
        _ => None,
    }
}

fn unknown_one(kind: &str, nearest: Option<String>) -> Problem {
    let nearest = nearest.unwrap_or_default();
    Problem::new(format!("is an unknown {kind}"), format!("the nearest known one is {nearest}"))
}

fn nearest<'a>(key: &ConfigKey, known: &[&'a ConfigKey]) -> Option<&'a ConfigKey> {
    let name = key.to_string();
    let likeness = |known: &ConfigKey| {
        let alike = strsim::normalized_damerau_levenshtein(&name, &known.to_string());
        if known.section() == key.section() { alike + SAME_SECTION } else { alike }
    };
    known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
