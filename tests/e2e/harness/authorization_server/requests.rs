//! The test's own requests to a server: no code of the product is in them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use url::{Url, form_urlencoded};

/// It follows no redirect.
pub(super) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// The type of every body.
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// The encoding of the pair of Basic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basic {
    /// Both parts form-encoded, as RFC 6749 2.3.1 requires.
    Form,
    /// Not encoded.
    Raw,
}

impl Basic {
    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Raw => "raw",
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Form => Self::Raw,
            Self::Raw => Self::Form,
        }
    }

    /// The value of the header.
    pub fn header(self, id: &str, secret: &str) -> String {
        let encoded = |text: &str| match self {
            Self::Form => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Self::Raw => text.to_owned(),
        };
        let pair = format!("{}:{}", encoded(id), encoded(secret));
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }
}

/// The authentication of a request.
#[derive(Default)]
pub(super) struct Proof {
    header: Option<String>,
    fields: Vec<(String, String)>,
}

impl Proof {
    /// The value of `Authorization`.
    pub(super) fn header(value: String) -> Self {
        Self { header: Some(value), fields: Vec::new() }
    }

    /// Fields of the form.
    pub(super) fn fields<const N: usize>(fields: [(&str, &str); N]) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { header: None, fields: fields.map(owned).into() }
    }

    /// A signed assertion.
    pub(super) fn assertion(assertion: &str) -> Self {
        const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        Self::fields([("client_assertion_type", TYPE), ("client_assertion", assertion)])
    }
}

/// An answer of a server.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Response {
    /// Its body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its status and its error code; empty if there is none.
    pub fn error(&self) -> (u16, String) {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        (self.status, body["error"].as_str().unwrap_or_default().to_owned())
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A client with a pool of connections.
pub(super) fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A request for `url`.
pub(super) fn request(method: Method, url: &Url) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(url.as_str());
    request.body(Full::default()).unwrap()
}

/// A request that sends an encoded form.
pub(super) fn form(url: &Url, form: String) -> Request<Full<Bytes>> {
    let mut request = request(Method::POST, url);
    request.headers_mut().insert(CONTENT_TYPE, FORM);
    *request.body_mut() = Full::from(form);
    request
}

/// Sends a form.
pub(super) async fn post(
    http: &HttpClient,
    url: &Url,
    proof: &Proof,
    fields: &[(&str, &str)],
) -> Response {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    encoded.extend_pairs(fields).extend_pairs(&proof.fields);
    let mut request = form(url, encoded.finish());
    if let Some(value) = &proof.header {
        request.headers_mut().insert(AUTHORIZATION, value.parse().unwrap());
    }
    send(http, request).await
}

/// Sends a request.
pub(super) async fn send(http: &HttpClient, request: Request<Full<Bytes>>) -> Response {
    let (head, body) = http.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Response { status: head.status.as_u16(), headers: head.headers, body }
}
