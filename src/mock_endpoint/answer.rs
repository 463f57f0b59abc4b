//! Reads the calls of the mock and writes its answers, in the vendor's envelope or by another profile.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use serde::Deserialize;
use serde_json::json;

use super::script::{CannedAnswer, Script};
use crate::endpoint::{Profile, SampleOf, ServedCall};

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
    /// Returns `None` if the request is no call to revoke.
    pub(super) fn parse(script: &Script, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        if let Some(profile) = script.other_profile() {
            let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let ServedCall { token, client_id, client_secret } =
                profile.read_call(authorization, body)?;
            let action = String::new();
            return Some(Self { action, client_id, client_secret, refresh_token: token });
        }
        serde_json::from_slice::<Self>(body).ok().filter(|call| call.action == "revoke")
    }
}

pub(super) fn revoked(script: &Script, call: &RevokeCall) -> Response {
    if let Some(profile) = script.other_profile() {
        return sample(profile, SampleOf::Success);
    }
    envelope(StatusCode::OK, true, &text(script, call, REVOKED))
}

/// Answers `01`, or as the profile does for this cause.
pub(super) fn rejected(script: &Script, call: &RevokeCall, cause: SampleOf) -> Response {
    if let Some(profile) = script.other_profile() {
        return sample(profile, cause);
    }
    envelope(StatusCode::OK, false, &text(script, call, REJECTED))
}

/// Answers a body that cannot be parsed.
pub(super) fn malformed(script: &Script) -> Response {
    if let Some(profile) = script.other_profile() {
        return sample(profile, SampleOf::Rejection);
    }
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

/// The profile's own answer, or a bare 400 if the profile has none.
fn sample(profile: &Profile, of: SampleOf) -> Response {
    let Some(sample) = profile.sample(of) else { return StatusCode::BAD_REQUEST.into_response() };
    let status = StatusCode::from_u16(sample.status).unwrap_or(StatusCode::BAD_REQUEST);
    if sample.body.is_empty() {
        return status.into_response();
    }
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, content_type, sample.body).into_response()
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
