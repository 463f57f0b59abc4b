//! The HTTP client of the revoke endpoint and the classifier of its responses.
//!
//! [`HttpEndpoint`] (`http`) writes the body (`request`), sends it with a client from `clients`, `client`, `connector`
//! and `tls`, and reads the response up to a cap. `classify` judges a response, with `envelope`, `message` and
//! `retry_after`. `verify` asks an introspection endpoint for the state of a token. `transport` judges a call without a
//! response. `unread` names what could not be read.

mod access_tokens;
mod basic;
mod bounded_file;
mod classify;
mod client;
mod client_certificate;
mod clients;
mod connector;
mod credentials;
mod envelope;
mod fresh_files;
mod http;
mod jwt;
mod message;
mod profile;
mod profile_call;
mod profile_test;
mod reach;
mod request;
mod retry_after;
/// Used by the count of instructions, which processes jobs without sockets.
pub mod seams;
mod settings;
mod shape;
#[cfg(test)]
mod testing;
mod tls;
mod token_request;
mod transport;
mod unread;
mod verify;

pub use bounded_file::{MAX_FILE_BYTES, read_file};
#[cfg(any(test, fuzzing))]
pub use classify::invariants as answer_invariants;
pub use client::ClientError;
pub use client_certificate::CertificateFiles;
pub use credentials::{CredentialFault, Credentials, FaultKind, Reloaded};
pub use http::HttpEndpoint;
pub use jwt::{JwtAlgorithm, JwtSettings, KeyError};
#[cfg(any(test, fuzzing))]
pub use profile::invariants as profile_invariants;
pub use profile::{
    ALIGNET, AuthMethod, BUILTIN, Kills, Profile, ProfileFault, Proof, Repeat, SampleAnswer,
    SampleOf, ServedCall, builtin,
};
pub use profile_test::{ProfileTest, find_profile, test_profile};
pub use reach::{Destination, ReachError, reach};
pub use settings::{AuthSettings, BasicEncoding, CredentialSettings, SecretSource, Settings};
pub use tls::install_crypto_provider;
pub use verify::{Introspection, VerifySettings, introspection_profile};
