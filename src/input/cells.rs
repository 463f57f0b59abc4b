//! Jobs from what is no JSON: cells of a record, or a token alone.

use serde::Serialize;
use serde_json::Number;

use super::error::Refusal;

/// The job's fields in the order of [`NAMES`]; an empty cell counts as left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Cells<'a> {
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

/// A field of the job that a column can hold. A client secret is not among them: it is never used, so
/// it stays out of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    RefreshToken,
    Audience,
    Username,
    ClientId,
    ExpiresAt,
    Action,
}

impl Field {
    pub(super) const ALL: [Self; 6] = [
        Self::RefreshToken,
        Self::Audience,
        Self::Username,
        Self::ClientId,
        Self::ExpiresAt,
        Self::Action,
    ];

    /// The field of this name.
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

impl<'a> Cells<'a> {
    /// Takes the content of a cell over, byte for byte.
    pub(super) fn set(&mut self, field: Field, cell: &'a [u8]) -> Result<(), Refusal> {
        if cell.is_empty() {
            return Ok(());
        }
        let cell = std::str::from_utf8(cell).map_err(|_| Refusal::NotUtf8(field.name()))?;
        // JSON can spell these out. Here they mean that tabs divide the columns, or that a quote was
        // not closed: the endpoint would only reject such a token.
        if cell.contains(char::is_control) {
            return Err(Refusal::ControlCharacter(field.name()));
        }
        match field {
            Field::RefreshToken => self.refresh_token = Some(cell),
            Field::Audience => self.audience = Some(cell),
            Field::Username => self.username = Some(cell),
            Field::ClientId => self.client_id = Some(cell),
            Field::ExpiresAt => self.expires_at = Some(time(cell)),
            Field::Action => self.action = Some(cell),
        }
        Ok(())
    }

    /// The job as JSON.
    pub(super) fn to_json(&self) -> Vec<u8> {
        // Text and numbers are always JSON: nothing is lost here.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A point in time as it is written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Time<'a> {
    /// Unix seconds.
    Seconds(Number),
    /// An RFC 3339 time, or no time at all.
    Text(&'a str),
}

/// What is a number in JSON is one in a cell.
pub(super) fn time(cell: &str) -> Time<'_> {
    serde_json::from_str(cell).map_or(Time::Text(cell), Time::Seconds)
}
