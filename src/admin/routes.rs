//! The paths and their answers.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{
        HeaderName, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

use super::{
    readiness::Readiness,
    status::{self, StatusPage},
};
use crate::{
    metrics::{self, Metrics},
    ports::Report,
};

/// The parts of the worker that readiness depends on, by name.
pub type ReadinessParts = Vec<(&'static str, Arc<dyn Report>)>;

struct Admin {
    metrics: Arc<Metrics>,
    parts: ReadinessParts,
    status: Arc<StatusPage>,
}

/// The paths with their handlers. `docs/schemas/openapi.json` describes them.
fn paths() -> [(&'static str, MethodRouter<Arc<Admin>>); 5] {
    [
        ("/", get(page)),
        ("/style.css", get(style)),
        ("/metrics", get(scrape)),
        ("/livez", get(livez)),
        ("/readyz", get(readyz)),
    ]
}

/// The paths. Any other path gets 404, and any method besides GET and HEAD gets 405. No request body is read.
pub fn routes(metrics: Arc<Metrics>, parts: ReadinessParts, status: Arc<StatusPage>) -> Router {
    let routes = paths()
        .into_iter()
        .fold(Router::new(), |routes, (path, handler)| routes.route(path, handler));
    routes.with_state(Arc::new(Admin { metrics, parts, status }))
}

/// The names of the paths.
#[cfg(test)]
pub(super) fn path_names() -> Vec<&'static str> {
    paths().into_iter().map(|(path, _)| path).collect()
}

/// Headers of every page for a browser. They forbid type sniffing, caching, framing and referrers.
const GUARDED: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, status::CONTENT_SECURITY_POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

async fn page(State(admin): State<Arc<Admin>>) -> Response {
    let parts: Vec<_> = admin.parts.iter().map(|(name, part)| (*name, part.condition())).collect();
    let clients: Vec<_> = admin.parts.iter().map(|(_, part)| part.paused_clients()).collect();
    let limit = admin.parts.iter().find_map(|(_, part)| part.limit());
    let page = admin.status.page(&parts, &clients, limit.as_deref()).into_string();
    (GUARDED, [(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

async fn style() -> Response {
    (GUARDED, [(CONTENT_TYPE, "text/css; charset=utf-8")], status::STYLE).into_response()
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
    let parts = admin.parts.iter();
    let parts = parts.map(|(name, part)| (*name, part.condition(), part.paused_clients()));
    let readiness = Readiness::of(parts);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}
