//! A dead letter for unit tests.

use std::time::{Duration, SystemTime};

use crate::domain::{
    DeadReason, Fingerprint, History, Job, JobDefaults, JobId, Lane, MessageMetadata, Reason,
    StoredLetter,
};

/// A dead letter that died a minute before [`now`].
pub fn letter() -> StoredLetter {
    let job = Job::parse(br#"{"refresh_token":"abc"}"#, &JobDefaults::default()).unwrap();
    let metadata = MessageMetadata {
        lane: Lane::Bulk,
        message_id: Some("logout-7".to_owned()),
        published_at: None,
        redelivered: false,
        trace: None,
        history: History::default(),
    };
    StoredLetter {
        reason: DeadReason::Stated(Reason::Exhausted),
        detail: "the endpoint answered others".to_owned(),
        id: JobId::of(&metadata, &job),
        fingerprint: Some(Fingerprint::of("abc")),
        is_job: true,
        body_bytes: 23,
        lane: Some(Lane::Bulk),
        client_id: Some("shop".to_owned()),
        client: Some(Fingerprint::of("shop")),
        code: None,
        http_status: None,
        attempts: Some(3),
        last_error: None,
        published_at: None,
        first_failed_at: None,
        dead_at: Some(now() - Duration::from_secs(60)),
        ambiguity: None,
        replays: 0,
        headers_dropped: false,
    }
}

/// The current time of these tests.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}
