//! Where and when a report was made, and by which version.

use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::key_id::KeyId;
use crate::domain::rfc3339;

/// Where and when a report was made.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    #[serde(serialize_with = "time")]
    pub made_at: SystemTime,
    /// The name of the machine.
    pub host: String,
    /// The version of Revoker.
    pub version: &'static str,
    /// The key of the signature beside the file, if there is one.
    pub signed_by: Option<KeyId>,
}

impl Origin {
    pub const fn new(made_at: SystemTime, host: String, signed_by: Option<KeyId>) -> Self {
        Self { made_at, host, version: env!("CARGO_PKG_VERSION"), signed_by }
    }
}

fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    match rfc3339(*time) {
        Some(text) => serializer.serialize_some(&text),
        None => serializer.serialize_none(),
    }
}
