//! Asks a token endpoint for an access token, with the client's own credentials.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, PROXY_AUTHORIZATION, USER_AGENT},
};
use http_body_util::Full;
use secrecy::SecretString;
use tokio::time::sleep;
use url::form_urlencoded;

use super::{
    access_tokens::{self, Fetched},
    basic,
    classify::{ClassifyContext, HttpResponse, ResponseBody, classify, is_fixed},
    client::{AGENT, ClientError},
    clients::ClientPool,
    http::{CallInfo, read, within},
    settings::{BasicEncoding, Settings},
    transport,
};
use crate::{
    domain::{Blame, Failure, Redactor, ResultLabel, Verdict},
    ports::{Clock as _, SystemClock},
};

/// The settings of requests for access tokens.
pub(super) struct TokenRequest {
    clients: Arc<ClientPool>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    encoding: BasicEncoding,
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
        }))
    }

    /// Asks for a token, within the time of one call. A failure is never ambiguous, and
    /// that of the client's access alone: no call to revoke was made.
    pub(super) async fn send(self: Arc<Self>, id: String, secret: Arc<SecretString>) -> Fetched {
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
                judge(&HttpResponse {
                    status: response.status(),
                    headers: response.headers(),
                    body,
                })
            }
        };
        fetched.map_err(|failure| Failure { ambiguous: false, blame: Blame::Access, ..failure })
    }
}

fn judge(answer: &HttpResponse<'_>) -> Fetched {
    let status = answer.status.as_u16();
    let (said, body) = match answer.body {
        ResponseBody::Whole(body) if !is_fixed(status) => {
            (access_tokens::read(answer.status.is_success(), status, body), ResponseBody::Unread)
        }
        ResponseBody::Broken(breakage) => (None, ResponseBody::Broken(breakage)),
        _ => (None, ResponseBody::Unread),
    };
    said.unwrap_or_else(|| {
        let now = SystemClock.now();
        let context =
            ClassifyContext { profile: None, locale: "", redactor: Redactor::new([]), now };
        match classify(&HttpResponse { body, ..*answer }, &context) {
            Verdict::Transient(failure) => Err(failure),
            // Without a complete body, the answer proves nothing.
            _ => Err(Failure::unanswered(ResultLabel::Unrecognized, false)),
        }
    })
}
