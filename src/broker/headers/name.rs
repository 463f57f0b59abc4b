//! The names of our own headers.

/// What all of them begin with.
pub(crate) const PREFIX: &str = "x-revoker-";

/// Why a job is a dead letter. What the broker itself dropped has none.
pub(crate) const REASON: &str = "x-revoker-reason";
/// One sentence for a person.
pub(crate) const DETAIL: &str = "x-revoker-detail";
/// The endpoint's code.
pub(crate) const CODE: &str = "x-revoker-code";
/// The HTTP status of the last answer.
pub(crate) const HTTP_STATUS: &str = "x-revoker-http-status";
/// Calls known to have been made.
pub(crate) const ATTEMPTS: &str = "x-revoker-attempts";
/// Stays in a retry queue.
pub(crate) const PARKED: &str = "x-revoker-parked";
/// When the first attempt failed.
pub(crate) const FIRST_FAILED_AT: &str = "x-revoker-first-failed-at";
/// When the job became a dead letter.
pub(crate) const DEAD_AT: &str = "x-revoker-dead-at";
/// How long its client or the worker was paused since then, in milliseconds.
pub(crate) const PAUSED_MS: &str = "x-revoker-paused-ms";
/// When the job was parked the last time.
pub(crate) const PARKED_AT: &str = "x-revoker-parked-at";
/// What the last attempt came to.
pub(crate) const LAST_ERROR: &str = "x-revoker-last-error";
/// Whether the token may already be revoked.
pub(crate) const AMBIGUOUS: &str = "x-revoker-ambiguous";
/// Why it may.
pub(crate) const AMBIGUITY: &str = "x-revoker-ambiguity";
/// The MAC over a parked job and its history.
pub(crate) const MAC: &str = "x-revoker-mac";
/// The job's lane.
pub(crate) const LANE: &str = "x-revoker-lane";
/// The token's fingerprint.
pub(crate) const FINGERPRINT: &str = "x-revoker-fingerprint";
/// How often a dead letter was replayed.
pub(crate) const REPLAYS: &str = "x-revoker-replays";
/// Whether headers of the producer were left out for their size.
pub(crate) const HEADERS_DROPPED: &str = "x-revoker-headers-dropped";
