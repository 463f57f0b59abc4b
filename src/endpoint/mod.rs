//! The HTTP client of the revoke endpoint and the classifier of its answers.

mod settings;

pub use settings::{CredentialSettings, SecretSource, Settings};
