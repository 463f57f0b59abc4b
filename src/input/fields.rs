//! Builds jobs from cells of a record, or from a token alone.

use serde::Serialize;
use serde_json::Number;

use super::error::Refusal;

/// The fields of a job; an empty cell counts as left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct JobFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
}

/// A field that a column can hold. The client secret is none: it is never used, so it stays out of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobField {
    RefreshToken,
    Audience,
    Username,
    ClientId,
    ExpiresAt,
    Action,
}

impl JobField {
    pub(super) const ALL: [Self; 6] = [
        Self::RefreshToken,
        Self::Audience,
        Self::Username,
        Self::ClientId,
        Self::ExpiresAt,
        Self::Action,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh_token",
            Self::Audience => "audience",
            Self::Username => "username",
            Self::ClientId => "client_id",
            Self::ExpiresAt => "expires_at",
            Self::Action => "action",
        }
    }
}

impl<'a> JobFields<'a> {
    /// Sets a field to the content of a cell, byte for byte.
    pub(super) fn set(&mut self, field: JobField, cell: &'a [u8]) -> Result<(), Refusal> {
        if cell.is_empty() {
            return Ok(());
        }
        let cell = std::str::from_utf8(cell).map_err(|_| Refusal::NotUtf8(field.name()))?;
        // JSON can escape them. In a cell they mean that tabs divide the columns, or that a quote was not
        // closed: the endpoint would reject such a token.
        if cell.contains(char::is_control) {
            return Err(Refusal::ControlCharacter(field.name()));
        }
        match field {
            JobField::RefreshToken => self.refresh_token = Some(cell),
            JobField::Audience => self.audience = Some(cell),
            JobField::Username => self.username = Some(cell),
            JobField::ClientId => self.client_id = Some(cell),
            JobField::ExpiresAt => self.expires_at = Some(time(cell)),
            JobField::Action => self.action = Some(cell),
        }
        Ok(())
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        // Text and numbers always serialize, so nothing is lost.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Time<'a> {
    /// Unix seconds.
    Seconds(Number),
    /// An RFC 3339 time, or an invalid text.
    Text(&'a str),
}

/// A cell that is a number in JSON is written as a number.
pub(super) fn time(cell: &str) -> Time<'_> {
    serde_json::from_str(cell).map_or(Time::Text(cell), Time::Seconds)
}
