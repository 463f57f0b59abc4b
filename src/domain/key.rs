//! The key that identifies jobs with the same call.

use std::fmt;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{hex, job::Job};

const DIGEST_BYTES: usize = 32;

/// The SHA-256 over token, client, audience and user. Jobs with the same key are the same call.
///
/// It is the full digest, longer than a [`Fingerprint`](super::Fingerprint), because a job with a known key
/// is settled without a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobKey([u8; DIGEST_BYTES]);

/// Unlike a fingerprint it is never logged.
impl fmt::Debug for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobKey").finish_non_exhaustive()
    }
}

impl JobKey {
    /// Hashes each part after its length, so that `ab` and `c` differ from `a` and `bc`. An absent part
    /// differs from an empty one.
    fn of(parts: [Option<&str>; 4]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            match part {
                None => digest.update([0]),
                Some(part) => {
                    digest.update([1]);
                    digest.update((part.len() as u64).to_be_bytes());
                    digest.update(part);
                }
            }
        }
        Self(digest.finalize().into())
    }

    /// The key in lower-case hex, as a journal keeps it.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::to_hex(&self.0)
    }

    /// The key that [`JobKey::to_hex`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let is_lower_case = !hex.bytes().any(|byte| byte.is_ascii_uppercase());
        hex::from_hex(hex).filter(|_| is_lower_case).map(Self)
    }

    /// The whole digest.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; DIGEST_BYTES] {
        self.0
    }
}

impl Job {
    /// The key that this job shares with its duplicates.
    #[must_use]
    pub fn key(&self) -> JobKey {
        JobKey::of([
            Some(self.token.expose_secret()),
            self.client_id.as_deref(),
            Some(&self.audience),
            self.username.as_deref(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::JobDefaults;

    fn key(body: &str) -> JobKey {
        let defaults = JobDefaults { audience: "a".into(), ..JobDefaults::default() };
        Job::parse(body.as_bytes(), &defaults).unwrap().key()
    }

    #[test]
    fn jobs_that_differ_in_any_of_the_four_are_different_calls() {
        let bodies = [
            r#"{"refresh_token":"t"}"#,
            r#"{"refresh_token":"T"}"#,
            r#"{"refresh_token":" t"}"#,
            r#"{"refresh_token":"t","client_id":"c"}"#,
            r#"{"refresh_token":"tc"}"#,
            r#"{"refresh_token":"t","audience":"b"}"#,
            r#"{"refresh_token":"t","audience":""}"#,
            r#"{"refresh_token":"t","username":""}"#,
            r#"{"refresh_token":"t","username":"c"}"#,
            r#"{"refresh_token":"t","client_id":"c","username":"d"}"#,
            r#"{"refresh_token":"t","client_id":"cd","username":""}"#,
            r#"{"refresh_token":"t","client_id":"cd"}"#,
        ];
        assert_eq!(bodies.map(key).into_iter().collect::<HashSet<_>>().len(), bodies.len());
    }

    #[test]
    fn fields_that_are_not_sent_make_no_other_call() {
        let plain = key(r#"{"refresh_token":"t"}"#);
        for same in [
            r#"{"refresh_token":"t","audience":"a","expires_at":1000000007}"#,
            r#"{"action":"revoke","other":1,"client_secret":"s","refresh_token":"t"}"#,
        ] {
            assert_eq!(key(same), plain, "{same}");
        }
    }

    #[test]
    fn it_is_known_again_by_its_hex() {
        let key = key(r#"{"refresh_token":"t"}"#);
        let hex = key.to_hex();
        assert_eq!(JobKey::from_hex(&hex), Some(key));
        for other in ["", &hex[1..], &format!("{hex}0"), &hex.to_uppercase(), &"é".repeat(32)] {
            assert_eq!(JobKey::from_hex(other), None, "{other}");
        }
    }

    #[test]
    fn it_is_never_logged() {
        assert_eq!(format!("{:?}", key(r#"{"refresh_token":"t"}"#)), "JobKey { .. }");
    }
}
