//! Builds jobs from cells of a record, or from a token alone.

use serde::{Serialize, Serializer as _};
use serde_json::Number;

use super::{error::Refusal, token};
use crate::domain::named;

named! {
    /// A field that a column can hold. The client secret is none: it is never used, so it stays out of the queue.
    pub(super) enum JobField {
        RefreshToken = "refresh_token",
        Audience = "audience",
        Username = "username",
        ClientId = "client_id",
        ExpiresAt = "expires_at",
        Action = "action",
    }
}

/// A cell that holds one of them is refused for the lines that it may hide.
const LINE_ENDS: [char; 2] = ['\n', '\r'];

/// The fields of a job; an empty cell counts as left out. Without `Debug`, which would print the token.
#[derive(Default)]
pub(super) struct JobFields<'a>([Option<FieldValue<'a>>; JobField::ALL.len()]);

impl<'a> JobFields<'a> {
    /// Sets a field to the content of a cell, byte for byte.
    pub(super) fn set(&mut self, field: JobField, cell: &'a [u8]) -> Result<(), Refusal> {
        if cell.is_empty() {
            return Ok(());
        }
        let cell = std::str::from_utf8(cell).map_err(|_| Refusal::NotUtf8(field.as_str()))?;
        // First: the advice for a tab around a token is that for a blank, and a blank must not make a token too long.
        if field == JobField::RefreshToken && !cell.contains(LINE_ENDS) {
            token::check_ends(cell)?;
        }
        // JSON can escape them. In a cell they show that tabs separate the columns, or that a quote was not closed. The
        // endpoint would reject such a token.
        if cell.contains(char::is_control) {
            return Err(Refusal::ControlCharacter(field.as_str()));
        }
        self.0[field as usize] = Some(match field {
            JobField::ExpiresAt => time(cell),
            _ => FieldValue::Text(cell),
        });
        Ok(())
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let fields = JobField::ALL.into_iter().zip(&self.0);
        let given = fields.filter_map(|(field, value)| Some((field, value.as_ref()?)));
        let mut json = Vec::new();
        // Text and numbers always serialize, so nothing is lost.
        drop(serde_json::Serializer::new(&mut json).collect_map(given));
        json
    }
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum FieldValue<'a> {
    /// Unix seconds.
    Seconds(Number),
    Text(&'a str),
}

/// A cell that is a number in JSON is written as a number. Any other text is an RFC 3339 time, or invalid.
pub(super) fn time(cell: &str) -> FieldValue<'_> {
    serde_json::from_str(cell).map_or(FieldValue::Text(cell), FieldValue::Seconds)
}
