//! Tests that schema, defaults and parser agree about every key.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use super::*;
use crate::config::{catalogue::Catalogue, form::Form, key::ConfigKey};

/// Values of every type, as TOML writes them. Each is given to each setting.
const SAMPLES: [&str; 59] = [
    "true",
    "false",
    "0",
    "1",
    "50",
    "-1",
    "65536",
    "100000001",
    "5000000000",
    "0.5",
    "1.5",
    "-0.5",
    "2000000.0",
    "''",
    "'x'",
    "'true'",
    "'1'",
    "'5'",
    "'0'",
    "'+5'",
    "'0s'",
    "'1s'",
    "'250ms'",
    "'1h 30m'",
    "'1h30m'",
    "' 2 min '",
    "'1.5s'",
    "'.5s'",
    "'1 0s'",
    "'10'",
    "'1 fortnight'",
    "'1M'",
    "'5 years'",
    "'10seconds'",
    "'s'",
    "'64MiB'",
    "'64 mib'",
    "'1.5GB'",
    "'1.GB'",
    "'.5g'",
    "'.g'",
    "'64 MiBs'",
    "'https://a.example/x'",
    "'HTTP://127.0.0.1/'",
    "'ftp://a.example'",
    "'amqp://a.example'",
    "' AMQPS://a.example,amqp://b.example'",
    "'127.0.0.1:9464'",
    "'[::1]:80'",
    "'localhost:80'",
    "\"line\\nbreak\"",
    "\"\\uFEFFx\"",
    "'form'",
    "'missing'",
    "'after'",
    "[]",
    "['1s', '2s']",
    "[1]",
    "1979-05-27",
];

/// Faults that concern more than the form of one value. A schema cannot have them, or an editor could not check them.
const BEYOND_A_SCHEMA: [&str; 23] = [
    "is out of bounds",
    "is no whole number of seconds",
    "does not grow from delay to delay",
    "item 1 is out of bounds",
    "item 2 is out of bounds",
    "names a file that",
    "is no folder that",
    "is given twice",
    "is given beside",
    "is given for a client",
    "is given without",
    "does not fit",
    "is plain HTTP",
    "is of the method",
    "is only half",
    "is invalid in a header",
    "needs ",
    "is missing",
    "is a queue for jobs or dead letters",
    "is no proof of a client",
    "is not of the method",
    "is finer than a millisecond",
    "names a client without a secret",
];

/// A value of a TOML document as JSON.
fn as_json(value: &str) -> Value {
    let document: toml::Table = format!("x = {value}").parse().unwrap();
    match &document["x"] {
        // JSON has no dates, and editors take them for strings of their own type.
        toml::Value::Datetime(_) => json!({ "a": "date" }),
        value => serde_json::to_value(value).unwrap(),
    }
}

/// Whether a value is valid, by the keywords that the schema uses. An unknown keyword fails the test.
fn is_valid(schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
        "description" | "default" | "title" | "$schema" => true,
        "type" => match rule.as_str().unwrap() {
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("an unknown type: {other}"),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
        "minItems" => value.as_array().is_none_or(|items| !items.is_empty()),
        "pattern" => {
            let pattern = Regex::new(rule.as_str().unwrap()).unwrap();
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "items" => {
            value.as_array().is_none_or(|items| items.iter().all(|item| is_valid(rule, item)))
        }
        "not" => !is_valid(rule, value),
        "allOf" => rule.as_array().unwrap().iter().all(|schema| is_valid(schema, value)),
        "required" => {
            rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
        }
        "properties" => value.as_object().is_none_or(|table| {
            let known = rule.as_object().unwrap();
            table.iter().all(|(name, value)| known.get(name).is_none_or(|s| is_valid(s, value)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|table| {
            let known = |name: &String| schema["properties"].get(name).is_some();
            let others = table.iter().filter(|(name, _)| !known(name));
            others
                .map(|(_, value)| value)
                .all(|value| *rule != json!(false) && is_valid(rule, value))
        }),
        other => panic!("an unknown keyword: {other}"),
    })
}

/// The schema of one key.
fn of_key<'a>(schema: &'a Value, key: &ConfigKey) -> &'a Value {
    key.segments().iter().fold(schema, |schema, segment| {
        schema["properties"].get(segment).unwrap_or(&schema["additionalProperties"])
    })
}

/// The keys of all settings in a schema.
fn keys(schema: &Value, above: &ConfigKey, found: &mut BTreeSet<ConfigKey>) {
    let Some(properties) = schema["properties"].as_object() else {
        if schema["additionalProperties"].is_object() {
            keys(&schema["additionalProperties"], &above.child("another-merchant"), found);
        } else {
            found.insert(above.clone());
        }
        return;
    };
    for (name, schema) in properties {
        keys(schema, &above.child(name), found);
    }
}

#[test]
fn the_schema_has_the_keys_of_the_defaults_file_and_no_other() {
    let mut found = BTreeSet::new();
    keys(&schema(), &ConfigKey::root(), &mut found);
    let documented = Catalogue::new().documentation.keys;
    let documented: BTreeSet<_> = documented.into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, documented);
    let schema = schema();
    for key in &found {
        let text = of_key(&schema, key)["description"].as_str().unwrap_or_default();
        assert!(text.len() > 10, "{key} is not documented");
    }
}

/// Each setting gets each sample, alone in its table, and the schema accepts it if and only if the parser does.
#[test]
fn schema_and_parser_agree_about_every_key_and_value() {
    let schema = schema();
    let catalogue = Catalogue::new();
    let is_setting = |form: &Form| !matches!(form, Form::Table | Form::Entries);
    let settings: Vec<_> = catalogue.settings.iter().filter(|s| is_setting(&s.form)).collect();
    let (mut compared, mut differences) = ([0, 0], Vec::new());
    for sample in SAMPLES {
        let value = as_json(sample);
        // The two forms of a secret cannot stand side by side.
        for in_files in [false, true] {
            let pair = |key: &ConfigKey| settings.iter().any(|other| other.key.in_file() == *key);
            let group = settings.iter().filter(|setting| pair(&setting.key) == in_files);
            let keys: Vec<&ConfigKey> = group.map(|setting| &setting.key).collect();
            let lines: Vec<_> = keys.iter().map(|key| format!("{key} = {sample}\n")).collect();
            let text = lines.concat();
            let layer = ConfigLayer::parse(&text, &|line| {
                layer::ValueOrigin::File(std::path::Path::new("sample.toml").into(), line)
            });
            assert_eq!(layer.faults, [], "{sample}");
            let mut reader = ConfigReader::new([ConfigLayer::defaults(DEFAULTS), layer]);
            Config::read(&mut reader, Needs::NONE);
            let (faults, _) = reader.finish();
            for key in keys {
                let name = key.to_string();
                let own = faults.iter().filter(|fault| fault.key() == Some(&name));
                let told: Vec<String> = own.map(ToString::to_string).collect();
                let refused = told.iter().find(|fault| {
                    let what = fault.split_once("): ").map_or(fault.as_str(), |(_, what)| what);
                    !BEYOND_A_SCHEMA.iter().any(|beyond| what.starts_with(beyond))
                        || what.starts_with("is out of bounds") && !value.is_string()
                });
                let is_valid = is_valid(of_key(&schema, key), &value);
                if is_valid == refused.is_some() {
                    differences.push(format!("{key} = {sample}: {told:?}"));
                }
                compared[usize::from(is_valid)] += 1;
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared.iter().all(|count| *count > 200), "{compared:?}");
}

#[test]
fn a_documented_file_is_valid_and_an_unknown_key_is_not() {
    let schema = schema();
    let valid = |text: &str| {
        let document: toml::Table = text.parse().unwrap();
        is_valid(&schema, &serde_json::to_value(document).unwrap())
    };
    assert!(valid(DEFAULTS));
    assert!(valid(""));
    assert!(valid("[credentials.clients.\"a b\"]\nclient_secret = 'x'"));
    for wrong in [
        "borker.queue = 'x'",
        "broker.queu = 'x'",
        "broker = 1",
        "flow.pause.extra = 1",
        "credentials.clients = 1",
        "credentials.clients.a = 1",
        "credentials.clients.a.secret = 'x'",
        "broker.url = 'amqp://a.example'\nbroker.url_file = '/x'",
        "credentials.clients.a = { client_secret = 'x', client_secret_file = '/x' }",
    ] {
        assert!(!valid(wrong), "{wrong}");
        assert!(load(wrong).is_err(), "{wrong}");
    }
}
