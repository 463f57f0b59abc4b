//! Calls the endpoint.

use std::{
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

use http::{HeaderName, HeaderValue, Method};
use reqwest::{Request, Response, Url};
use secrecy::SecretString;
use tracing::debug;

use super::{
    classify::{Answer, Body, Terms, classify},
    client::ClientError,
    clients::{Clients, Clock},
    credentials::Credentials,
    request,
    settings::Settings,
    transport::{self, Chain},
};
use crate::{
    domain::{ClientKey, Failure, Job, Redactor, ResultLabel, TraceContext, Verdict},
    ports::{Endpoint, UnknownClient},
};

/// Bytes of an answer that are read. An envelope takes a few hundred; what is longer is none.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The W3C headers of a trace.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The revoke endpoint over HTTP.
pub struct HttpEndpoint {
    clients: Clients,
    url: Url,
    locale: String,
    credentials: Arc<Credentials>,
}

impl fmt::Debug for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEndpoint").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl HttpEndpoint {
    /// Builds the clients. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`] names the setting that it cannot be built with.
    pub fn new(settings: &Settings, credentials: Arc<Credentials>) -> Result<Self, ClientError> {
        Self::with_clock(settings, credentials, Box::new(Instant::now))
    }

    /// [`HttpEndpoint::new`], the ages of connections by this clock.
    pub(super) fn with_clock(
        settings: &Settings,
        credentials: Arc<Credentials>,
        clock: Clock,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            clients: Clients::new(settings, clock)?,
            url: settings.url.clone(),
            locale: settings.locale.clone(),
            credentials,
        })
    }

    /// The job's client and its secret.
    fn account<'a>(&self, job: &'a Job) -> Result<(&'a str, Arc<SecretString>), UnknownClient> {
        let client_id = job.client_id.as_deref().ok_or(UnknownClient::NotNamed)?;
        let secret = self.credentials.secret(client_id).ok_or(UnknownClient::NoSecret)?;
        Ok((client_id, secret))
    }

    fn request(&self, body: Vec<u8>, trace: Option<&TraceContext>) -> Request {
        let mut request = Request::new(Method::POST, self.url.clone());
        // As they came: this worker is no span of the trace, and says nothing of its own.
        if let Some(trace) = trace {
            let values =
                [(TRACEPARENT, Some(trace.traceparent())), (TRACESTATE, trace.tracestate())];
            for (name, value) in values {
                if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                    request.headers_mut().insert(name, value);
                }
            }
        }
        *request.body_mut() = Some(body.into());
        request
    }

    async fn attempt(&self, request: Request, called: Called<'_>) -> Verdict {
        let client = self.clients.take();
        match client.execute(request).await.map_err(reqwest::Error::without_url) {
            Ok(response) => self.judge(response, called).await,
            Err(error) => {
                debug!(
                    error = called.told(&error),
                    trace_id = called.trace_id(),
                    "a call got no answer"
                );
                Verdict::Transient(transport::failure(&error))
            }
        }
    }

    async fn judge(&self, mut response: Response, called: Called<'_>) -> Verdict {
        let mut buffer = Vec::new();
        let body = read(&mut response, &mut buffer, &called).await;
        let answer = Answer { status: response.status(), headers: response.headers(), body };
        let terms =
            Terms { locale: &self.locale, redactor: called.redactor, now: SystemTime::now() };
        classify(&answer, &terms)
    }
}

/// For whom a call is made, as far as its answer and its log lines need it.
struct Called<'a> {
    redactor: Redactor<'a>,
    trace: Option<&'a TraceContext>,
}

impl Called<'_> {
    /// What went wrong, for the log. A server can put a text of its own into an error: HTTP/2 carries one
    /// with a GOAWAY.
    fn told(&self, error: &reqwest::Error) -> String {
        self.redactor.clean(&Chain(error).to_string())
    }

    /// The id of the job's trace, for the log.
    fn trace_id(&self) -> Option<&str> {
        let id = self.trace?.trace_id();
        (!self.redactor.concerns(id)).then_some(id)
    }
}

impl Endpoint for HttpEndpoint {
    fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient> {
        let client_id = job.client_id.as_deref().ok_or(UnknownClient::NotNamed)?;
        self.credentials.key(client_id).ok_or(UnknownClient::NoSecret)
    }

    async fn revoke(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        let (client_id, secret) = self.account(job)?;
        let Ok(body) = request::body(job, client_id, &secret) else {
            // Strings always serialize. If one did not, nothing was sent.
            return Ok(Verdict::Transient(Failure::unanswered(ResultLabel::Connect, false)));
        };
        let username = job.username.clone().map(SecretString::from);
        let own = [&job.token, &*secret].into_iter().chain(&username);
        let called = Called { redactor: Redactor::new(own), trace };
        Ok(self.attempt(self.request(body, trace), called).await)
    }
}

/// Reads the body chunk by chunk, so that neither a lie about its length nor an endless one takes more
/// memory than the cap and a chunk.
async fn read<'a>(
    response: &mut Response,
    buffer: &'a mut Vec<u8>,
    called: &Called<'_>,
) -> Body<'a> {
    if response.status().is_redirection() {
        return Body::Unread;
    }
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if buffer.len() + chunk.len() > MAX_ANSWER_BYTES => {
                return Body::TooLarge;
            }
            Ok(Some(chunk)) => buffer.extend_from_slice(&chunk),
            Ok(None) => return Body::Whole(buffer),
            Err(error) => {
                let error = error.without_url();
                debug!(
                    error = called.told(&error),
                    trace_id = called.trace_id(),
                    "an answer broke off"
                );
                return Body::Broken(transport::breakage(&error));
            }
        }
    }
}

#[cfg(test)]
mod tests;
