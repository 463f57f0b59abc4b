//! The revoke endpoint over HTTP.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use secrecy::SecretString;
use tokio::time::{Sleep, sleep};
use tracing::debug;

use super::{
    classify::{ClassifyContext, HttpResponse, ResponseBody, classify},
    client::{self, ClientError},
    clients::{AgeClock, ClientPool},
    credentials::Credentials,
    profile_call::{NOT_SENT, ProfileCaller},
    request,
    settings::Settings,
    transport::{self, CallError},
    verify::Introspection,
};
use crate::{
    domain::{
        ClientKey, ErrorChain, Failure, Job, Redactor, ResultLabel, TokenState, TraceContext,
        Verdict,
    },
    ports::{Clock as _, Endpoint, SystemClock, UnknownClient},
};

/// The longest response that is read, in bytes. An envelope has a few hundred; anything longer is not one.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The W3C headers of a trace.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The revoke endpoint over HTTP.
pub struct HttpEndpoint {
    pub(super) clients: Arc<ClientPool>,
    uri: Uri,
    /// The headers of every call.
    headers: HeaderMap,
    /// The time limit of one call.
    timeout: Duration,
    locale: String,
    credentials: Arc<Credentials>,
    /// Makes the calls of every profile but the default one.
    pub(super) profile: Option<ProfileCaller>,
    /// Knows the state of tokens.
    introspection: Option<Box<Introspection>>,
}

impl fmt::Debug for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEndpoint").field("host", &self.uri.host()).finish_non_exhaustive()
    }
}

impl HttpEndpoint {
    /// Builds the clients. None connects yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`] names the setting that it cannot be built with.
    pub fn new(settings: &Settings, credentials: Arc<Credentials>) -> Result<Self, ClientError> {
        Self::with_clock(settings, credentials, Box::new(Instant::now))
    }

    /// [`HttpEndpoint::new`] with another clock for the ages of connections.
    pub(super) fn with_clock(
        settings: &Settings,
        credentials: Arc<Credentials>,
        clock: AgeClock,
    ) -> Result<Self, ClientError> {
        let clients = Arc::new(ClientPool::new(settings, clock)?);
        let uri = client::uri(settings)?;
        let authorization = clients.connector().proxy_authorization(&uri);
        let profile = ProfileCaller::new(settings, &credentials, &clients)?;
        Ok(Self {
            clients,
            uri,
            headers: client::headers(settings, authorization)?,
            timeout: settings.timeout,
            locale: settings.locale.clone(),
            credentials,
            profile,
            introspection: None,
        })
    }

    /// Asks this endpoint for the state of tokens.
    #[must_use]
    pub fn with_introspection(mut self, introspection: Introspection) -> Self {
        self.introspection = Some(Box::new(introspection));
        self
    }

    /// The job's client and its secret.
    fn account<'a>(&self, job: &'a Job) -> Result<(&'a str, Arc<SecretString>), UnknownClient> {
        let client_id = job.client_id.as_deref().ok_or(UnknownClient::NotNamed)?;
        let secret = self.credentials.secret(client_id).ok_or(UnknownClient::NoSecret)?;
        Ok((client_id, secret))
    }

    pub(super) fn request(
        &self,
        body: Vec<u8>,
        trace: Option<&TraceContext>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        // Unchanged: this worker adds no span of its own here.
        if let Some(trace) = trace {
            let values =
                [(TRACEPARENT, Some(trace.traceparent())), (TRACESTATE, trace.tracestate())];
            for (name, value) in values {
                if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                    request.headers_mut().insert(name, value);
                }
            }
        }
        request
    }

    /// Makes one call over `connection`.
    pub(super) async fn revoke_over(
        &self,
        connection: &impl Exchange,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        if let Some(profile) = &self.profile {
            // Boxed: the calls of the default profile would move this future with them.
            return Box::pin(self.revoke_by(profile, connection, job, trace)).await;
        }
        let (client_id, secret) = self.account(job)?;
        let Ok(body) = request::body(job, client_id, &secret) else {
            // Strings always serialize. If one does not, nothing was sent.
            return Ok(Verdict::Transient(NOT_SENT));
        };
        let username = job.username.clone().map(SecretString::from);
        let own = [&job.token, &*secret].into_iter().chain(&username);
        let call = CallInfo { redactor: Redactor::new(own), trace };
        Ok(connection.exchange(self.request(body, trace), call).await)
    }

    async fn receive(
        &self,
        mut response: Response<Incoming>,
        limit: Pin<&mut Sleep>,
        call: CallInfo<'_>,
    ) -> Verdict {
        let mut buffer = Vec::new();
        let body = read(&mut response, limit, &mut buffer, &call).await;
        let answer = HttpResponse { status: response.status(), headers: response.headers(), body };
        self.judge(&answer, call)
    }

    pub(super) fn judge(&self, answer: &HttpResponse<'_>, call: CallInfo<'_>) -> Verdict {
        let context = ClassifyContext {
            profile: self.profile.as_ref().map(ProfileCaller::profile),
            locale: &self.locale,
            redactor: call.redactor,
            now: SystemClock.now(),
        };
        classify(answer, &context)
    }
}

/// The data of a call for reading its response and for log lines.
pub(super) struct CallInfo<'a> {
    pub(super) redactor: Redactor<'a>,
    pub(super) trace: Option<&'a TraceContext>,
}

impl CallInfo<'_> {
    /// The redacted error, for the log. A server can put its own text into an error: HTTP/2 has one in GOAWAY.
    fn redacted(&self, error: &CallError) -> String {
        self.redactor.clean(&ErrorChain(error).to_string())
    }

    /// The id of the job's trace, for the log.
    fn trace_id(&self) -> Option<&str> {
        let id = self.trace?.trace_id();
        (!self.redactor.concerns(id)).then_some(id)
    }
}

impl Endpoint for HttpEndpoint {
    fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient> {
        if let Some(profile) = &self.profile {
            return profile.admit(job);
        }
        let client_id = job.client_id.as_deref().ok_or(UnknownClient::NotNamed)?;
        self.credentials.key(client_id).ok_or(UnknownClient::NoSecret)
    }

    async fn revoke(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        self.revoke_over(self, job, trace).await
    }

    async fn introspect(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<TokenState, Failure> {
        match &self.introspection {
            // Boxed: it is an endpoint as well, and its call would contain itself.
            Some(introspection) => Box::pin(introspection.state(job, trace)).await,
            None => Err(Failure::unanswered(ResultLabel::Connect, false)),
        }
    }
}

/// Sends one request, and judges its answer.
pub(super) trait Exchange: Sync {
    /// One call, within its time limit.
    fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        call: CallInfo<'_>,
    ) -> impl Future<Output = Verdict> + Send;
}

impl Exchange for HttpEndpoint {
    async fn exchange(&self, request: Request<Full<Bytes>>, call: CallInfo<'_>) -> Verdict {
        let client = self.clients.take();
        let mut limit = pin!(sleep(self.timeout));
        match within(limit.as_mut(), client.request(request)).await {
            Ok(response) => self.receive(response, limit, call).await,
            Err(error) => {
                debug!(
                    error = call.redacted(&error),
                    trace_id = call.trace_id(),
                    "a call got no answer"
                );
                Verdict::Transient(transport::failure(&error))
            }
        }
    }
}

/// Runs one step of a call, within the time limit of the whole call. A call has one timer for all its steps.
pub(super) async fn within<T, E: Into<CallError>>(
    limit: Pin<&mut Sleep>,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError> {
    tokio::select! {
        biased;
        done = step => done.map_err(Into::into),
        () = limit => Err(CallError::Timeout),
    }
}

/// Reads the body chunk by chunk. Neither a wrong length nor an endless body takes more memory than the cap
/// and one chunk.
pub(super) async fn read<'a>(
    response: &mut Response<Incoming>,
    mut limit: Pin<&mut Sleep>,
    buffer: &'a mut Vec<u8>,
    call: &CallInfo<'_>,
) -> ResponseBody<'a> {
    if response.status().is_redirection() {
        return ResponseBody::Unread;
    }
    loop {
        let next = async { response.frame().await.transpose() };
        match within(limit.as_mut(), next).await {
            // Trailers are ignored.
            Ok(Some(frame)) => match frame.data_ref() {
                Some(chunk) if buffer.len() + chunk.len() > MAX_ANSWER_BYTES => {
                    return ResponseBody::TooLarge;
                }
                chunk => buffer.extend_from_slice(chunk.map_or(&[], |chunk| chunk)),
            },
            Ok(None) => return ResponseBody::Whole(buffer),
            Err(error) => {
                debug!(
                    error = call.redacted(&error),
                    trace_id = call.trace_id(),
                    "an answer broke off"
                );
                return ResponseBody::Broken(transport::breakage(&error));
            }
        }
    }
}

#[cfg(test)]
mod tests;
