//! The HTTP client of the revoke endpoint and the classifier of its answers.
//!
//! One call flows through the files like this: [`HttpEndpoint`] (`http`) writes the body (`request`),
//! sends it with one of the clients that `clients`, `client` and `tls` built, and reads the answer up to a cap. What came
//! back is judged by the pure functions of `classify`, on top of `envelope`, `message` and
//! `retry_after`; what never came back, by `transport`.

mod classify;
mod client;
mod clients;
mod credentials;
mod envelope;
mod http;
mod message;
mod reach;
mod request;
mod retry_after;
mod settings;
mod shape;
#[cfg(test)]
mod testing;
mod tls;
mod transport;

#[cfg(any(test, fuzzing))]
pub use classify::invariants as answer_invariants;
pub use client::ClientError;
pub use credentials::{CredentialFault, Credentials, FaultKind, Reloaded};
pub use http::HttpEndpoint;
pub use reach::{ReachError, reach};
pub use settings::{CredentialSettings, SecretSource, Settings};
pub use tls::install_crypto_provider;
