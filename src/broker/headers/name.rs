//! The names of our own headers.

/// What all of them begin with.
pub const PREFIX: &str = "x-revoker-";

/// Why a job is a dead letter. What the broker itself dropped has none.
pub const REASON: &str = "x-revoker-reason";
/// One sentence for a person.
pub const DETAIL: &str = "x-revoker-detail";
/// The endpoint's code.
pub const CODE: &str = "x-revoker-code";
/// The HTTP status of the last answer.
pub const HTTP_STATUS: &str = "x-revoker-http-status";
/// Calls known to have been made.
pub const ATTEMPTS: &str = "x-revoker-attempts";
/// Stays in a retry queue.
pub const PARKED: &str = "x-revoker-parked";
/// When the first attempt failed.
pub const FIRST_FAILED_AT: &str = "x-revoker-first-failed-at";
/// When the job died.
pub const DEAD_AT: &str = "x-revoker-dead-at";
/// How long its client or the worker was paused since then, in milliseconds.
pub const PAUSED_MS: &str = "x-revoker-paused-ms";
/// When the job was parked the last time.
pub const PARKED_AT: &str = "x-revoker-parked-at";
/// What the last attempt came to.
pub const LAST_ERROR: &str = "x-revoker-last-error";
/// Whether the token may already be revoked.
pub const AMBIGUOUS: &str = "x-revoker-ambiguous";
/// Why it may.
pub const AMBIGUITY: &str = "x-revoker-ambiguity";
/// The MAC over a parked job and its history.
pub const MAC: &str = "x-revoker-mac";
/// The job's lane.
pub const LANE: &str = "x-revoker-lane";
/// The token's fingerprint.
pub const FINGERPRINT: &str = "x-revoker-fingerprint";
/// How often a dead letter was replayed.
pub const REPLAYS: &str = "x-revoker-replays";
/// Whether headers of the producer were left out for their size.
pub const HEADERS_DROPPED: &str = "x-revoker-headers-dropped";
