//! The body of a call.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::envelope::ACTION;
use crate::domain::Job;

/// Room for the field names and the punctuation, and for a few characters that must be escaped.
const OVERHEAD_BYTES: usize = 160;

/// The fields of the endpoint's documentation, in the order of its sample.
#[derive(Serialize)]
struct RequestFields<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    refresh_token: &'a str,
    audience: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
}

/// The JSON body of the call for `job`, its values byte for byte. It exposes the secrets.
///
/// # Errors
///
/// Never in practice, because strings always serialize.
pub(super) fn body(
    job: &Job,
    client_id: &str,
    client_secret: &SecretString,
) -> Result<Vec<u8>, serde_json::Error> {
    let fields = RequestFields {
        action: ACTION,
        username: job.username.as_deref(),
        refresh_token: job.token.expose_secret(),
        audience: &job.audience,
        client_id,
        client_secret: client_secret.expose_secret(),
    };
    let values = [fields.refresh_token, fields.audience, client_id, fields.client_secret];
    let length = values.iter().map(|value| value.len()).sum::<usize>()
        + fields.username.map_or(0, str::len)
        + OVERHEAD_BYTES;
    let mut body = Vec::with_capacity(length);
    serde_json::to_writer(&mut body, &fields)?;
    Ok(body)
}
