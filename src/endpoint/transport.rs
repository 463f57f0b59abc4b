//! Converts errors of the HTTP client to failures, and decides whether the request was sent.
//!
//! The client has one error type for all failures, so the chain of its sources identifies the failure.

use std::{error::Error, io};

use hyper_util::client::legacy;
use thiserror::Error;

use super::{classify::Breakage, connector::ConnectTimeout};
use crate::domain::{ErrorChain, Failure, FailureClass, ResultLabel};

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
        let failure = Failure::unanswered(connect_label(error), false);
        return Failure { class: connect_class(error, failure.class), ..failure };
    }
    let label = match breakage(error) {
        Breakage::Timeout => ResultLabel::Timeout,
        Breakage::Reset => ResultLabel::Reset,
    };
    let failure = Failure::unanswered(label, true);
    Failure { class: unreadable(error).unwrap_or(failure.class), ..failure }
}

/// The class of a response whose beginning cannot be read; `None` if there was none. hyper tells a header line from
/// the first line only in its text.
fn unreadable(error: &CallError) -> Option<FailureClass> {
    let cause = ErrorChain(error)
        .causes()
        .find_map(|cause| cause.downcast_ref::<hyper::Error>().filter(|error| error.is_parse()))?;
    Some(match cause.to_string() {
        text if text.contains("too large") => FailureClass::LongHeader,
        text if text.contains("header")
            || text.contains("content-length")
            || text.contains("transfer-encoding") =>
        {
            FailureClass::BadHeaderLine
        }
        _ => FailureClass::NotHttp,
    })
}

/// The class of an error while connecting. Two of the library's types are private, and show only in their texts.
fn connect_class(error: &(dyn Error + 'static), of_label: FailureClass) -> FailureClass {
    let class = ErrorChain(error).causes().find_map(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let text = cause.to_string();
        match (cause.downcast_ref::<rustls::Error>(), io) {
            (Some(rustls::Error::InvalidCertificate(_)), _) => Some(FailureClass::Certificate),
            (Some(_), _) => Some(FailureClass::TlsHandshake),
            (None, Some(io::ErrorKind::ConnectionRefused)) => Some(FailureClass::ConnectionRefused),
            (None, Some(io::ErrorKind::TimedOut)) => Some(FailureClass::ConnectTimeout),
            _ if cause.is::<ConnectTimeout>() => Some(FailureClass::ConnectTimeout),
            _ if text.starts_with("dns error") => Some(FailureClass::NoAddress),
            _ => None,
        }
    });
    let is_tunnel =
        || ErrorChain(error).causes().any(|cause| cause.to_string().starts_with("tunnel error"));
    class.unwrap_or_else(|| if is_tunnel() { FailureClass::NoProxy } else { of_label })
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
