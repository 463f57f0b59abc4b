//! The JSON Schema of a configuration file, for editors.
//!
//! It says what can be said about each key alone. Bounds of durations and sizes, and rules between keys, are left to
//! `revoker check`.

use serde_json::{Map, Value, json};

use super::{
    catalogue::{Catalogue, Setting},
    form::{Form, SecretForm},
    key::ConfigKey,
    shown,
};

/// The dialect of the schema.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A duration as the crate `humantime` reads it. `M`, for months, is refused.
const DURATION: &str = concat!(
    r"^(0|\s*(([0-9]\s*)+(\.\s*([0-9]\s*)+)?",
    r"(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w",
    r"|years?|yrs?|y)\s*)+)$"
);

/// A number of bytes as the crate `bytesize` reads it.
const SIZE: &str = r"^(\+?[0-9]+|([0-9]+\.?[0-9]*|\.[0-9]+)\s*([Bb]|[KkMmGgTtPpEe]([Ii]?[Bb])?|[KkMmGgTtPpEe][Ii]))$";

/// Anything but control characters, line breaks and byte order marks.
const TEXT: &str = r"^[^\u0000-\u001F\u007F-\u009F\u2028\u2029\uFEFF]+$";

/// The scheme of a URL.
const WEB_URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?:";
const BROKER_URL: &str = r"^\s*[Aa][Mm][Qq][Pp][Ss]?:";

const ADDRESS: &str = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+(%[0-9]+)?\]):[0-9]{1,5}$";

/// The JSON Schema of a configuration file, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let catalogue = Catalogue::new();
    let mut root = table();
    for setting in &catalogue.settings {
        insert(&mut root, setting, &catalogue);
        if let Form::Secret(_) = setting.form {
            exclude(&mut root, &setting.key);
        }
    }
    root.insert("$schema".into(), DIALECT.into());
    root.insert("title".into(), "Settings of Revoker".into());
    Value::Object(root)
}

/// A table whose keys are all known.
fn table() -> Map<String, Value> {
    let mut table = Map::new();
    table.insert("type".into(), "object".into());
    table.insert("additionalProperties".into(), false.into());
    table
}

/// Inserts the schema of a setting, and those of the sections above it where they are missing.
fn insert(root: &mut Map<String, Value>, setting: &Setting, catalogue: &Catalogue) {
    let documentation = &catalogue.documentation;
    let mut schema = of_form(&setting.form);
    if let Some((_, text)) = documentation.keys.iter().find(|(key, _)| *key == setting.key) {
        schema.insert("description".into(), text.as_str().into());
    }
    if let Some(default) = &setting.default {
        // A default is no secret.
        let form = if let Form::Secret(_) = setting.form { &Form::Text } else { &setting.form };
        schema.insert("default".into(), shown::json(form, default));
    }
    let mut key = ConfigKey::root();
    let mut place = &mut *root;
    let (last, above) = setting.key.segments().split_last().unzip();
    for segment in above.unwrap_or_default() {
        key = key.child(segment);
        let text = documentation.sections.get(&key);
        let child = child(place, segment);
        if child.is_null() {
            let mut section = table();
            section.extend(text.map(|text| ("description".to_owned(), text.as_str().into())));
            *child = Value::Object(section);
        }
        let Value::Object(section) = child else { return };
        place = section;
    }
    if let Some(last) = last {
        *child(place, last) = Value::Object(schema);
    }
}

/// The place for the schema of a key of this table. `null` if it is new. Every entry of a table whose keys the operator
/// chooses has the same one.
fn child<'a>(table: &'a mut Map<String, Value>, name: &str) -> &'a mut Value {
    if table.get("additionalProperties") != Some(&Value::Bool(false)) {
        return table.entry("additionalProperties").or_insert(Value::Null);
    }
    let properties = table.entry("properties").or_insert_with(|| json!({}));
    &mut properties[name]
}

/// Refuses a secret that is given twice in one file.
fn exclude(root: &mut Map<String, Value>, key: &ConfigKey) {
    let mut place = &mut *root;
    for segment in key.section() {
        let Value::Object(section) = child(place, segment) else { return };
        place = section;
    }
    let in_file = key.in_file();
    let names = [key, &in_file].map(|key| key.segments().last());
    let both = json!({ "not": { "required": names } });
    if let Value::Array(all) = place.entry("allOf").or_insert_with(|| json!([])) {
        all.push(both);
    }
}

fn of_form(form: &Form) -> Map<String, Value> {
    let string = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let schema = match form {
        Form::Flag => json!({ "type": "boolean" }),
        Form::FlagOr(word) => json!({ "enum": [true, false, word] }),
        Form::Choice(words) => json!({ "enum": words }),
        Form::Count(bounds) => {
            json!({ "type": "integer", "minimum": bounds.start(), "maximum": bounds.end() })
        }
        Form::Number(bounds) => {
            json!({ "type": "number", "minimum": bounds.start(), "maximum": bounds.end() })
        }
        Form::Duration(_) => string(DURATION),
        Form::Size(_) => string(SIZE),
        Form::Text => string(TEXT),
        Form::Url | Form::Secret(SecretForm::WebUrl) => string(WEB_URL),
        Form::Address => string(ADDRESS),
        Form::Path | Form::Secret(SecretForm::Hidden) => {
            json!({ "type": "string", "minLength": 1 })
        }
        Form::Secret(SecretForm::BrokerUrls) => string(BROKER_URL),
        Form::List(item) => json!({ "type": "array", "minItems": 1, "items": of_form(item) }),
        Form::Table => return table(),
        Form::Entries => json!({ "type": "object", "additionalProperties": null }),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}
