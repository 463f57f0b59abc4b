//! The names of our own headers. docs/queues.md documents each of them.

pub(crate) const PREFIX: &str = "x-revoker-";
pub(crate) const REASON: &str = "x-revoker-reason";
pub(crate) const DETAIL: &str = "x-revoker-detail";
pub(crate) const CODE: &str = "x-revoker-code";
pub(crate) const HTTP_STATUS: &str = "x-revoker-http-status";
pub(crate) const ATTEMPTS: &str = "x-revoker-attempts";
pub(crate) const PARKED: &str = "x-revoker-parked";
pub(crate) const FIRST_FAILED_AT: &str = "x-revoker-first-failed-at";
pub(crate) const DEAD_AT: &str = "x-revoker-dead-at";
pub(crate) const PAUSED_MS: &str = "x-revoker-paused-ms";
pub(crate) const PARKED_AT: &str = "x-revoker-parked-at";
pub(crate) const LAST_ERROR: &str = "x-revoker-last-error";
pub(crate) const AMBIGUOUS: &str = "x-revoker-ambiguous";
pub(crate) const AMBIGUITY: &str = "x-revoker-ambiguity";
pub(crate) const MAC: &str = "x-revoker-mac";
pub(crate) const LANE: &str = "x-revoker-lane";
pub(crate) const FINGERPRINT: &str = "x-revoker-fingerprint";
pub(crate) const REPLAYS: &str = "x-revoker-replays";
pub(crate) const HEADERS_DROPPED: &str = "x-revoker-headers-dropped";
