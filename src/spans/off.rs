//! A build that exports no spans: the interface of the one that does, without anything behind it.

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

/// Where spans would go.
#[derive(Debug, Clone, Copy)]
pub struct Spans;

/// The export, were there one.
#[derive(Debug)]
pub struct Exporting;

/// The span of a delivery, were it exported.
#[derive(Debug, Clone, Copy)]
pub struct JobSpan;

/// The span of a call, were it exported.
#[derive(Debug, Clone, Copy)]
pub struct CallSpan;

/// Begins nothing.
///
/// # Errors
///
/// None.
pub fn begin(_queues: PerLane<String>, _endpoint: &Url) -> Result<(Spans, Exporting), Infallible> {
    Ok((Spans, Exporting))
}

impl Exporting {
    /// Ends nothing.
    pub async fn end(self) {}
}

impl Spans {
    /// Nowhere.
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
    /// Of a delivery that is not a job yet.
    #[must_use]
    pub const fn none() -> Self {
        Self
    }

    /// The trace that the job is given where its producer named none.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        None
    }

    /// The span of its next call, counted from 1.
    #[must_use]
    pub fn call(&self, _attempt: u32) -> CallSpan {
        CallSpan
    }

    /// Ends it.
    pub fn end(&mut self, _: &Outcome, _: &Settled) {}
}

impl CallSpan {
    /// The trace as the call should name it; `None` to pass on the job's.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        None
    }

    /// Ends it.
    pub fn end(self, _: Option<&Verdict>) {}
}
