//! The name of a token in a record: by its hash, as much of it as the operator chose.

use secrecy::ExposeSecret;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{fingerprint::Fingerprint, hex, job::Job, named::named};

named! {
    /// How a record names the token.
    #[derive(Default)]
    pub enum TokenHash {
        /// By its fingerprint.
        #[default]
        Short = "short",
        /// By its fingerprint and its whole SHA-256.
        Full = "full",
        /// Not at all.
        Omitted = "none",
    }
}

/// The name of a token in a record. Fields without a value are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TokenName {
    /// The first 12 hex digits of the token's SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The SHA-256 of the token, 64 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_sha256: Option<String>,
}

impl TokenName {
    /// The name of the job's token.
    #[must_use]
    pub fn of(job: &Job, hash: TokenHash) -> Self {
        let fingerprint = Some(job.fingerprint);
        match hash {
            TokenHash::Omitted => Self::default(),
            TokenHash::Short => Self { fingerprint, token_sha256: None },
            TokenHash::Full => {
                let digest = Sha256::digest(job.token.expose_secret());
                Self { fingerprint, token_sha256: Some(hex::to_hex(&digest)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobDefaults;

    /// The digest of "abc" is a test vector of FIPS 180-4.
    #[test]
    fn a_token_is_named_by_as_much_of_its_hash_as_the_operator_chose() {
        let job = Job::parse(br#"{"refresh_token":"abc"}"#, &JobDefaults::default()).unwrap();
        let short = TokenName::of(&job, TokenHash::Short);
        assert_eq!(short.fingerprint, Fingerprint::parse("ba7816bf8f01"));
        assert_eq!(short.token_sha256, None);
        let full = TokenName::of(&job, TokenHash::Full);
        assert_eq!(full.fingerprint, short.fingerprint);
        assert_eq!(
            full.token_sha256.as_deref(),
            Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert_eq!(TokenName::of(&job, TokenHash::Omitted), TokenName::default());
    }
}
