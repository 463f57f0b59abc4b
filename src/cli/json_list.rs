//! One JSON document with a list that is too long to be held: each item is printed as it is found.

use serde::Serialize;

use super::output::{self, OutputError};

/// Items are printed in parts of this many bytes.
const PRINTED: usize = 64 * 1024;

/// The beginning of a document: its first field is the list.
pub(super) struct JsonList {
    text: String,
    is_empty: bool,
    /// After an error nothing more is printed.
    printed: Result<(), OutputError>,
}

impl JsonList {
    pub(super) fn new(field: &str) -> Self {
        Self { text: format!("{{\"{field}\":["), is_empty: true, printed: Ok(()) }
    }

    pub(super) fn add(&mut self, item: &impl Serialize) {
        if !std::mem::take(&mut self.is_empty) {
            self.text.push(',');
        }
        self.text.push_str(output::json(item).trim_end());
        if self.text.len() >= PRINTED {
            let part = std::mem::take(&mut self.text);
            if self.printed.is_ok() {
                self.printed = output::print(&part);
            }
        }
    }

    /// Prints the rest of the document: the fields of an object.
    pub(super) fn end(mut self, fields: &impl Serialize) -> Result<(), OutputError> {
        self.finish(fields);
        self.printed.and_then(|()| output::print(&self.text))
    }

    fn finish(&mut self, fields: &impl Serialize) {
        let object = output::json(fields);
        let fields = object.strip_prefix('{').unwrap_or(&object);
        let comma = if fields.starts_with('}') { "" } else { "," };
        self.text.push(']');
        self.text.push_str(comma);
        self.text.push_str(fields);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(items: &[Value], fields: &Value) -> Value {
        let mut list = JsonList::new("lines");
        for item in items {
            list.add(item);
        }
        list.finish(fields);
        assert!(list.text.ends_with("}\n") && list.text.lines().count() == 1, "{}", list.text);
        serde_json::from_str(&list.text).unwrap()
    }

    #[test]
    fn list_and_fields_are_one_document() {
        for items in [&[][..], &[json!(1)], &[json!({"line": 1}), json!({"line": 2})]] {
            assert_eq!(document(items, &json!({"a": 1})), json!({"lines": items, "a": 1}));
            assert_eq!(document(items, &json!({})), json!({ "lines": items }));
        }
    }
}
