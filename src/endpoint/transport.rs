//! From an error of the HTTP client to a failure: was anything sent?
//!
//! reqwest has one error type for everything, so what happened is read off the chain of its sources.

use std::{error::Error, fmt, io, iter};

use super::classify::Breakage;
use crate::domain::{Failure, ResultLabel};

/// The failure behind a call that got no answer. Only what broke while connecting is known not to have
/// been sent: even an error of TLS may come after the request went out.
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

/// Whether connecting got as far as TLS. A peer that hangs up in mid-handshake shows as the early end
/// of a stream, which nothing but the handshake reads at that stage.
fn broke_in_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        cause.is::<rustls::Error>()
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    })
}

/// An error and everything below it.
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

/// An error with its causes on one line, for logs. The URL must be out of it already.
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
