//! Finds jobs that occur twice in a file.

use std::{collections::HashSet, time::UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::domain::Job;

/// The bytes that are kept of each job's hash.
///
/// With 16 bytes, two different jobs among 10⁹ collide with a probability below 10⁻²⁰. With 8 it would be one
/// in forty, and a leaked token would stay alive unnoticed. An attacker who chooses tokens could also make
/// such a pair in minutes.
const KEPT_BYTES: usize = 16;

/// The jobs so far, [`KEPT_BYTES`] of each.
#[derive(Debug, Default)]
pub(super) struct Deduplicator(HashSet<[u8; KEPT_BYTES]>);

impl Deduplicator {
    /// Adds a job; returns whether it is new.
    pub(super) fn insert(&mut self, job: &Job) -> bool {
        self.0.insert(hash(job))
    }
}

/// Two jobs are the same if they ask for the same call and have the same expiry. If a job without an expiry were
/// dropped for an expired one, no call would be made.
fn hash(job: &Job) -> [u8; KEPT_BYTES] {
    let key = job.key().to_bytes();
    let hash = match job.expires_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()) {
        None => key,
        Some(expiry) => Sha256::new()
            .chain_update(key)
            .chain_update(expiry.as_nanos().to_be_bytes())
            .finalize()
            .into(),
    };
    let mut kept = [0; KEPT_BYTES];
    kept.copy_from_slice(&hash[..KEPT_BYTES]);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobDefaults;

    fn job(body: &str) -> Job {
        let defaults = JobDefaults { audience: "a".into(), ..JobDefaults::default() };
        Job::parse(body.as_bytes(), &defaults).unwrap()
    }

    #[test]
    fn a_job_is_new_once() {
        let mut seen = Deduplicator::default();
        assert!(seen.insert(&job(r#"{"refresh_token":"t"}"#)));
        assert!(!seen.insert(&job(r#"{"refresh_token":"t"}"#)));
        assert!(!seen.insert(&job(r#"{"refresh_token":"t","audience":"a","other":1}"#)));
        assert!(seen.insert(&job(r#"{"refresh_token":"u"}"#)));
        assert!(seen.insert(&job(r#"{"refresh_token":"t","username":"u"}"#)));
    }

    #[test]
    fn a_job_with_another_expiry_is_another() {
        let mut seen = Deduplicator::default();
        for body in [
            r#"{"refresh_token":"t","expires_at":1000000007}"#,
            r#"{"refresh_token":"t"}"#,
            r#"{"refresh_token":"t","expires_at":1000000008}"#,
            r#"{"refresh_token":"t","expires_at":1000000007.5}"#,
        ] {
            assert!(seen.insert(&job(body)), "{body}");
            assert!(!seen.insert(&job(body)), "{body}");
        }
        assert!(!seen.insert(&job(r#"{"refresh_token":"t","expires_at":"2001-09-09T01:46:47Z"}"#)));
    }
}
