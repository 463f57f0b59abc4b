//! From an error of the HTTP client to a failure: was the request sent?
//!
//! reqwest has one error type for all failures, so the chain of its sources shows what happened.

use std::{error::Error, fmt, io, iter};

use super::classify::Breakage;
use crate::domain::{Failure, ResultLabel};

/// The failure of a call without a response. Only a failure while connecting proves that nothing was sent: even
/// a TLS error may come after the request went out.
pub(super) fn failure(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::unanswered(ResultLabel::Connect, false);
    }
    if error.is_connect() {
        let label = if broke_in_tls(error) { ResultLabel::Tls } else { ResultLabel::Connect };
        return Failure::unanswered(label, false);
    }
    let label = match breakage(error) {
        Breakage::Timeout => ResultLabel::Timeout,
        Breakage::Reset => ResultLabel::Reset,
    };
    Failure::unanswered(label, true)
}

/// How a call broke off after its request began to go out.
pub(super) fn breakage(error: &reqwest::Error) -> Breakage {
    if error.is_timeout() { Breakage::Timeout } else { Breakage::Reset }
}

/// Whether connecting failed in TLS. A peer that hangs up in the handshake shows as an early end of the stream,
/// and only the handshake reads at that stage.
fn broke_in_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        cause.is::<rustls::Error>()
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    })
}

/// An error and all of its sources.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        // The `source` of an I/O error passes over the error that it wraps.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// An error with its sources on one line, for logs. The caller has removed the URL.
pub(super) struct Chain<'a>(pub(super) &'a reqwest::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = String::new();
        for cause in causes(self.0) {
            let text = cause.to_string();
            // A wrapper that prints what it wraps would say it twice.
            if text != last {
                f.write_str(if last.is_empty() { "" } else { ": " })?;
                f.write_str(&text)?;
                last = text;
            }
        }
        Ok(())
    }
}
