//! The interface of the module `otlp`, which documents it, for a build without export. Every item does nothing.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
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

#[derive(Debug, Clone, Copy)]
pub struct Spans;

#[derive(Debug)]
pub struct Exporting;

#[derive(Debug, Clone, Copy)]
pub struct JobSpan;

#[derive(Debug, Clone, Copy)]
pub struct CallSpan;

pub fn begin(_queues: PerLane<String>, _endpoint: &Url) -> Result<(Spans, Exporting), Infallible> {
    Ok((Spans, Exporting))
}

impl Exporting {
    pub async fn end(self) {}
}

impl Spans {
    #[must_use]
    pub const fn none() -> Self {
        Self
    }

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
    #[must_use]
    pub const fn none() -> Self {
        Self
    }

    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        None
    }

    #[must_use]
    pub fn call(&self, _attempt: u32) -> CallSpan {
        CallSpan
    }

    pub fn end(&mut self, _: &Outcome, _: &Settled) {}
}

impl CallSpan {
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        None
    }

    pub fn end(self, _: Option<&Verdict>) {}
}
