//! The name of a signing key.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::domain::{from_hex, to_hex};

/// The scheme in front of the digest.
const SCHEME: &str = "ed25519:";

/// The bytes before the key itself in the DER form of an Ed25519 public key (RFC 8410).
pub(super) const SPKI: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The length of a public key, in bytes.
pub(super) const PUBLIC_BYTES: usize = 32;

/// The SHA-256 of a public key in its DER form: `openssl pkey -pubout -outform DER | sha256sum` prints the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 32]);

impl KeyId {
    pub(super) fn of(public: &[u8; PUBLIC_BYTES]) -> Self {
        let mut digest = Sha256::new();
        digest.update(SPKI);
        digest.update(public);
        Self(digest.finalize().into())
    }

    /// Finds the id that a report states, in either form of the report.
    pub fn find(report: &[u8]) -> Option<Self> {
        let starts = report.windows(SCHEME.len()).enumerate();
        let mut starts = starts.filter(|(_, window)| *window == SCHEME.as_bytes());
        starts.find_map(|(at, _)| {
            let digest = report.get(at + SCHEME.len()..)?.get(..64)?;
            Some(Self(from_hex(std::str::from_utf8(digest).ok()?)?))
        })
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", to_hex(&self.0))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
