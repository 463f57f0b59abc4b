//! Checks whether the endpoint can be reached, without calling it.
//!
//! The client of the real calls resolves, connects, passes the proxy and does the TLS handshake. Then it is
//! stopped before it sends anything. A handshake of our own would test another path than that of the calls.
//! A method such as `HEAD` is harmless only if the server treats it so.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use http::Method;
use reqwest::Request;
use thiserror::Error;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    client::{self, ClientError},
    settings::Settings,
    transport,
};
use crate::domain::{ErrorChain, ResultLabel};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why the endpoint was not reached.
#[derive(Debug, Error)]
pub enum ReachError {
    /// The client cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection failed.
    #[error("{label}")]
    Unreachable {
        /// `connect` or `tls`.
        label: ResultLabel,
        /// The error, without the URL.
        source: reqwest::Error,
    },
}

/// Connects to the endpoint by TCP and, for HTTPS, TLS. No request is sent. Takes at most `settings.timeout`.
///
/// # Errors
///
/// [`ReachError`] says which step failed.
pub async fn reach(settings: &Settings) -> Result<(), ReachError> {
    let client = client::builder(settings)?
        .connector_layer(StopWhenConnected)
        .build()
        .map_err(|error| ClientError::Build(error.without_url()))?;
    let Err(error) = client.execute(Request::new(Method::HEAD, settings.url.clone())).await else {
        return Ok(());
    };
    let error = error.without_url();
    if ErrorChain(&error).causes().any(<dyn Error>::is::<Connected>) {
        return Ok(());
    }
    let label = transport::failure(&error).label;
    Err(ReachError::Unreachable { label, source: error })
}

/// The error that stops the client once it is connected. It means success.
#[derive(Debug, Error)]
#[error("connected")]
struct Connected;

#[derive(Debug, Clone, Copy)]
struct StopWhenConnected;

impl<S> Layer<S> for StopWhenConnected {
    type Service = Stopping<S>;

    fn layer(&self, connector: S) -> Self::Service {
        Stopping(connector)
    }
}

#[derive(Debug, Clone)]
struct Stopping<S>(S);

impl<S, R> Service<R> for Stopping<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            drop(connecting.await?);
            Err(Connected.into())
        })
    }
}

#[cfg(test)]
mod tests;
