//! The paths and their answers.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};

use super::readiness::Readiness;
use crate::{
    metrics::{self, Metrics},
    ports::Report,
};

/// The parts of the worker that readiness depends on, by name.
pub type Parts = Vec<(&'static str, Arc<dyn Report>)>;

/// What the answers are made of.
struct Admin {
    metrics: Arc<Metrics>,
    parts: Parts,
}

/// The paths. Everything else is 404, every method but GET and HEAD 405; no request's body is read.
pub fn routes(metrics: Arc<Metrics>, parts: Parts) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(scrape))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(Admin { metrics, parts }))
}

async fn index() -> &'static str {
    "revoker: /metrics, /livez, /readyz\n"
}

async fn scrape(State(admin): State<Arc<Admin>>) -> Response {
    match admin.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn livez() -> &'static str {
    "ok"
}

async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, Json<Readiness>) {
    let readiness = Readiness::of(admin.parts.iter().map(|(name, part)| (*name, part.condition())));
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}
