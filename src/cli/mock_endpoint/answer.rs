//! The vendor's envelope, as the stand-in writes it.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Deserialize;
use serde_json::json;

use super::script::{Canned, Script};

/// The vendor's own words, from its sample answer.
const REVOKED: &str = "Refresh Token eliminado";

/// The words of a rejection. The vendor documents none.
const REJECTED: &str = "Refresh Token no encontrado";

/// The words for a call that is none.
const MALFORMED: &str = "Solicitud inválida";

/// The vendor's language.
const LOCALE: &str = "es_PE";

/// A call's body.
#[derive(Deserialize)]
pub(super) struct Call {
    action: String,
    #[serde(default)]
    pub(super) client_id: String,
    #[serde(default)]
    pub(super) client_secret: String,
    pub(super) refresh_token: String,
}

impl Call {
    /// Reads a body; `None` if it is no call to revoke.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|call| call.action == "revoke")
    }
}

/// `00`.
pub(super) fn revoked(script: &Script, call: &Call) -> Response {
    envelope(StatusCode::OK, true, &text(script, call, REVOKED))
}

/// `01`.
pub(super) fn rejected(script: &Script, call: &Call) -> Response {
    envelope(StatusCode::OK, false, &text(script, call, REJECTED))
}

/// `01`, for a body that could not be read.
pub(super) fn malformed() -> Response {
    envelope(StatusCode::BAD_REQUEST, false, MALFORMED)
}

/// 429.
pub(super) fn throttled(script: &Script) -> Response {
    with_retry_after(script, StatusCode::TOO_MANY_REQUESTS.into_response())
}

/// What stands in place of an envelope.
pub(super) fn canned(script: &Script, canned: &Canned) -> Response {
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static(canned.content_type))];
    with_retry_after(script, (canned.status, content_type, canned.body.clone()).into_response())
}

fn text<'a>(script: &Script, call: &Call, text: &'a str) -> std::borrow::Cow<'a, str> {
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
