//! The interface of the module `otlp` for a build without export. Every item does nothing.

#![allow(
    clippy::missing_const_for_fn,
    clippy::must_use_candidate,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self,
    reason = "the interface of the build that exports"
)]

use std::convert::Infallible;

use url::Url;

use crate::{
    domain::{Fingerprint, Lane, Outcome, PerLane, TraceContext, Verdict},
    ports::Settled,
};

/// The exporter of spans.
#[derive(Debug, Clone, Copy)]
pub struct Spans;

/// The running export.
#[derive(Debug)]
pub struct Exporting;

/// The span of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct JobSpan;

/// The span of a call.
#[derive(Debug, Clone, Copy)]
pub struct CallSpan;

/// Does nothing.
///
/// # Errors
///
/// None.
pub fn begin(_queues: PerLane<String>, _endpoint: &Url) -> Result<(Spans, Exporting), Infallible> {
    Ok((Spans, Exporting))
}

impl Exporting {
    /// Does nothing.
    pub async fn end(self) {}
}

impl Spans {
    /// No exporter.
    #[must_use]
    pub const fn none() -> Self {
        Self
    }

    /// The span of a job that has just arrived.
    #[must_use]
    pub fn job(
        &self,
        _: Lane,
        _: Fingerprint,
        _producer: impl FnOnce() -> Option<TraceContext>,
    ) -> JobSpan {
        JobSpan
    }
}

impl JobSpan {
    /// The span of a delivery that is not a job yet.
    #[must_use]
    pub const fn none() -> Self {
        Self
    }

    /// The trace of a job whose producer named none.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        None
    }

    /// The span of its next call, counted from 1.
    #[must_use]
    pub fn call(&self, _attempt: u32) -> CallSpan {
        CallSpan
    }

    /// Ends the span.
    pub fn end(&mut self, _: &Outcome, _: &Settled) {}
}

impl CallSpan {
    /// The trace for the call's headers; `None` to pass on the job's.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        None
    }

    /// Ends the span.
    pub fn end(self, _: Option<&Verdict>) {}
}
