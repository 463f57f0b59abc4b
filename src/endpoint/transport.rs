//! From an error of the HTTP client to a failure: was the request sent?
//!
//! reqwest has one error type for all failures, so the chain of its sources shows what happened.

use std::io;

use super::classify::Breakage;
use crate::domain::{ErrorChain, Failure, ResultLabel};

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
    ErrorChain(error).causes().any(|cause| {
        cause.is::<rustls::Error>()
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    })
}
