//! Converts errors of the HTTP client to failures, and decides whether the request was sent.
//!
//! The client has one error type for all failures, so the chain of its sources identifies the failure.

use std::{error::Error, io};

use hyper_util::client::legacy;
use thiserror::Error;

use super::classify::Breakage;
use crate::domain::{ErrorChain, Failure, ResultLabel};

/// The error of a call without a complete response.
#[derive(Debug, Error)]
pub(super) enum CallError {
    /// `endpoint.timeout` is over.
    #[error("the call took too long")]
    Timeout,
    /// No response came.
    #[error("no response")]
    Request(#[from] legacy::Error),
    /// The body broke off.
    #[error("the response broke off")]
    Body(#[from] hyper::Error),
}

/// The failure of a call without a response. Only a failure while connecting proves that nothing was sent: even
/// a TLS error may come after the request went out.
pub(super) fn failure(error: &CallError) -> Failure {
    if let CallError::Request(error) = error
        && error.is_connect()
    {
        return Failure::unanswered(connect_label(error), false);
    }
    let label = match breakage(error) {
        Breakage::Timeout => ResultLabel::Timeout,
        Breakage::Reset => ResultLabel::Reset,
    };
    Failure::unanswered(label, true)
}

/// The breakage of a call after a part of its request was sent.
pub(super) fn breakage(error: &CallError) -> Breakage {
    let ran_out = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    };
    if matches!(error, CallError::Timeout) || ErrorChain(error).causes().any(ran_out) {
        Breakage::Timeout
    } else {
        Breakage::Reset
    }
}

/// Whether connecting failed in TLS or before. A peer that hangs up in the handshake causes an early end of the stream.
/// Only the handshake reads at that stage.
pub(super) fn connect_label(error: &(dyn Error + 'static)) -> ResultLabel {
    let broke_in_tls = ErrorChain(error).causes().any(|cause| {
        cause.is::<rustls::Error>()
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    });
    if broke_in_tls { ResultLabel::Tls } else { ResultLabel::Connect }
}
