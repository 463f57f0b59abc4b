//! Looks at workers: one page of metrics and one of readiness, each with limits on time and size.

use std::time::{Duration, SystemTime};

use http::StatusCode;

use super::{
    exposition::Exposition,
    sample::{Sample, sentence},
    watched::Look,
};
use crate::{
    admin::Readiness,
    cli::admin_client,
    domain::{ErrorChain, Redactor},
};

/// Looks at the worker at `address`. The error is one line.
pub(super) async fn look(address: &str, limit: Duration) -> Result<Look, String> {
    let (metrics, ready) = tokio::join!(
        admin_client::page(address, "/metrics", limit),
        admin_client::page(address, "/readyz", limit),
    );
    let one_line = |text: &str| Redactor::default().clean(text);
    let metrics = metrics.map_err(|error| one_line(&ErrorChain(&error).to_string()))?;
    if metrics.status != StatusCode::OK {
        return Err(format!("/metrics answers with status {}", metrics.status.as_u16()));
    }
    let page = Exposition::parse(&metrics.text).map_err(|error| format!("/metrics: {error}"))?;
    if page.series("jobs_in_flight").is_empty() {
        return Err("/metrics is not the page of a worker".to_owned());
    }
    // A worker that is not ready answers too, with another status.
    let readiness = ready.ok().and_then(|page| serde_json::from_str::<Readiness>(&page.text).ok());
    let now = SystemTime::now();
    let state = readiness.map(|readiness| (readiness.state, sentence(&readiness, now)));
    Ok(Look { sample: Sample::of(&page), state })
}
