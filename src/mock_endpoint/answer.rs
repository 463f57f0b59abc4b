//! Writes the answers of the mock, in the vendor's envelope.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Deserialize;
use serde_json::json;

use super::script::{CannedAnswer, Script};

/// The vendor's text, from its sample answer.
const REVOKED: &str = "Refresh Token eliminado";

/// The text of a rejection. The vendor documents none.
const REJECTED: &str = "Refresh Token no encontrado";

/// The text for a body that is no call.
const MALFORMED: &str = "Solicitud inválida";

const LOCALE: &str = "es_PE";

#[derive(Deserialize)]
pub(super) struct RevokeCall {
    action: String,
    #[serde(default)]
    pub(super) client_id: String,
    #[serde(default)]
    pub(super) client_secret: String,
    pub(super) refresh_token: String,
}

impl RevokeCall {
    /// Returns `None` if the body is no call to revoke.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|call| call.action == "revoke")
    }
}

pub(super) fn revoked(script: &Script, call: &RevokeCall) -> Response {
    envelope(StatusCode::OK, true, &text(script, call, REVOKED))
}

pub(super) fn rejected(script: &Script, call: &RevokeCall) -> Response {
    envelope(StatusCode::OK, false, &text(script, call, REJECTED))
}

/// Answers `01` to a body that cannot be parsed.
pub(super) fn malformed() -> Response {
    envelope(StatusCode::BAD_REQUEST, false, MALFORMED)
}

pub(super) fn throttled(script: &Script) -> Response {
    with_retry_after(script, StatusCode::TOO_MANY_REQUESTS.into_response())
}

pub(super) fn canned(script: &Script, canned: &CannedAnswer) -> Response {
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static(canned.content_type))];
    with_retry_after(script, (canned.status, content_type, canned.body.clone()).into_response())
}

fn text<'a>(script: &Script, call: &RevokeCall, text: &'a str) -> std::borrow::Cow<'a, str> {
    if script.echo {
        format!("{text}: {} ({})", call.refresh_token, call.client_secret).into()
    } else {
        text.into()
    }
}

fn envelope(status: StatusCode, success: bool, text: &str) -> Response {
    let code = if success { "00" } else { "01" };
    let body = json!({
        "action": "revoke",
        "success": success,
        "revoke": {"meta": {"status": {
            "code": code,
            "message_ilgn": [{"locale": LOCALE, "value": text}],
        }}},
    });
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, content_type, Bytes::from(body.to_string())).into_response()
}

fn with_retry_after(script: &Script, mut response: Response) -> Response {
    if let Some(seconds) = script.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
