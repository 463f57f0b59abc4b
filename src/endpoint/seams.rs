//! Calls without a connection.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;

use super::{
    classify::{HttpResponse, ResponseBody},
    http::{CallInfo, Exchange, HttpEndpoint},
};
use crate::{
    domain::{ClientKey, Job, TraceContext, Verdict},
    ports::{Endpoint, UnknownClient},
};

/// An endpoint without a connection: each request is written, and answered by 200 and the same body.
#[derive(Debug)]
pub struct Unconnected {
    endpoint: HttpEndpoint,
    body: &'static [u8],
}

impl Unconnected {
    /// The calls of `endpoint`, each answered by `body`.
    #[must_use]
    pub const fn new(endpoint: HttpEndpoint, body: &'static [u8]) -> Self {
        Self { endpoint, body }
    }
}

impl Exchange for Unconnected {
    async fn exchange(&self, request: Request<Full<Bytes>>, call: CallInfo<'_>) -> Verdict {
        // Yields like a call, so that others begin meanwhile.
        tokio::task::yield_now().await;
        drop(request);
        let (status, headers) = (StatusCode::OK, &HeaderMap::new());
        let answer = HttpResponse { status, headers, body: ResponseBody::Whole(self.body) };
        self.endpoint.judge(&answer, call)
    }
}

impl Endpoint for Unconnected {
    fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient> {
        self.endpoint.admit(job)
    }

    async fn revoke(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        self.endpoint.revoke_over(self, job, trace).await
    }
}
