//! Asks a token endpoint for an access token, with the client's own credentials.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, PROXY_AUTHORIZATION, USER_AGENT},
};
use http_body_util::Full;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use url::form_urlencoded;

use super::{
    access_tokens::{self, Fetched},
    basic,
    classify::{ClassifyContext, HttpResponse, ResponseBody, classify, is_fixed},
    client::{AGENT, ClientError},
    clients::ClientPool,
    http::{CallInfo, read, within},
    settings::{BasicEncoding, Settings},
    transport, unread,
};
use crate::{
    domain::{Blame, Failure, FailureClass, Redactor, ResultLabel, Symptom, Verdict},
    ports::{Clock as _, SystemClock},
};

/// After this many failed requests in a row, the log says that the token endpoint gives no access tokens.
const FAILING_AFTER: u32 = 3;

/// The settings of requests for access tokens.
pub(super) struct TokenRequest {
    clients: Arc<ClientPool>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    encoding: BasicEncoding,
    /// How many requests had no answer since the last answered one.
    failed_in_a_row: AtomicU32,
}

impl TokenRequest {
    /// `None` if no token endpoint is set.
    ///
    /// # Errors
    ///
    /// [`ClientError::Url`].
    pub(super) fn new(
        settings: &Settings,
        clients: &Arc<ClientPool>,
    ) -> Result<Option<Self>, ClientError> {
        let Some(url) = &settings.auth.token_url else { return Ok(None) };
        let uri: Uri = url.as_str().parse().map_err(|_| ClientError::Url)?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (CONTENT_TYPE, form),
            (USER_AGENT, AGENT),
        ]);
        let authorization = clients.connector().proxy_authorization(&uri);
        headers.extend(authorization.map(|password| (PROXY_AUTHORIZATION, password)));
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &settings.auth.scope {
            body.append_pair("scope", scope);
        }
        Ok(Some(Self {
            clients: Arc::clone(clients),
            uri,
            headers,
            body: body.finish().into(),
            timeout: settings.timeout,
            encoding: settings.auth.basic_encoding,
            failed_in_a_row: AtomicU32::new(0),
        }))
    }

    /// Requests a token, within the time of one call. A failure is never ambiguous, because no revoke call was made. A
    /// refusal is a fault of the client alone. Any other failure is a fault of the token endpoint.
    pub(super) async fn send(self: Arc<Self>, id: String, secret: Arc<SecretString>) -> Fetched {
        let began = Instant::now();
        let pair = basic::pair(&id, &secret, self.encoding);
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(header) = basic::header(&pair) {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        let call = CallInfo { redactor: Redactor::new([&*secret, &pair]), trace: None };
        let client = self.clients.take();
        let mut limit = pin!(sleep(self.timeout));
        let fetched = match within(limit.as_mut(), client.request(request)).await {
            Err(error) => Err(transport::failure(&error)),
            Ok(mut response) => {
                let mut buffer = Vec::new();
                let body = read(&mut response, limit, &mut buffer, &call).await;
                let (status, headers) = (response.status(), response.headers());
                judge(&HttpResponse { status, headers, body }, began)
            }
        };
        let fetched = fetched.map_err(|failure| {
            let is_refusal = failure.label == ResultLabel::Misconfigured;
            let blame = if is_refusal { Blame::Access } else { Blame::TokenEndpoint };
            Failure { ambiguous: false, blame, ..failure }
        });
        self.note(&fetched);
        fetched
    }

    /// Logs once that the token endpoint gives no access tokens, and once that it does again.
    fn note(&self, fetched: &Fetched) {
        match fetched {
            Err(failure @ Failure { blame: Blame::TokenEndpoint, label, http_status, .. }) => {
                if self.failed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 == FAILING_AFTER {
                    warn!(
                        cause = %Symptom::of(failure),
                        result = %label,
                        http_status,
                        "the token endpoint gives no access tokens: jobs wait until it does"
                    );
                }
            }
            _ => {
                if self.failed_in_a_row.swap(0, Ordering::Relaxed) >= FAILING_AFTER {
                    info!("the token endpoint answers again");
                }
            }
        }
    }
}

fn judge(answer: &HttpResponse<'_>, began: Instant) -> Fetched {
    let status = answer.status.as_u16();
    let (said, body) = match answer.body {
        ResponseBody::Whole(body) if !is_fixed(status) => (
            access_tokens::read(answer.status.is_success(), status, body, began),
            ResponseBody::Unread,
        ),
        ResponseBody::Broken(breakage) => (None, ResponseBody::Broken(breakage)),
        _ => (None, ResponseBody::Unread),
    };
    said.unwrap_or_else(|| {
        let now = SystemClock.now();
        let context =
            ClassifyContext { profile: None, locale: "", redactor: Redactor::new([]), now };
        let failure = match classify(&HttpResponse { body, ..*answer }, &context) {
            Verdict::Transient(failure) => failure,
            // Without a complete body, the answer proves nothing.
            _ => Failure::unanswered(ResultLabel::Unrecognized, false),
        };
        let (class, size) = unread::look(answer);
        let class = match class {
            // An error code that is none of the client's, or an object without a usable token.
            FailureClass::StatusOnly if is_fixed(status) => class,
            FailureClass::StatusOnly if answer.status.is_success() => FailureClass::MissingFields,
            FailureClass::StatusOnly => FailureClass::UnknownCode,
            class => class,
        };
        Err(Failure { class, size, ..failure })
    })
}
