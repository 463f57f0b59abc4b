//! The rules of jobs: job, lane, verdict, retry schedule, outcome.
//!
//! Everything here is pure: no I/O, no clock, no randomness. Time and jitter are arguments, so every rule can
//! be tested as a table.

mod backoff;
mod client_key;
mod error_chain;
mod fingerprint;
mod hex;
mod history;
mod job;
mod judge;
mod key;
mod lane;
mod line_starts;
mod message_metadata;
mod named;
mod outcome;
mod rate;
mod redact;
mod retry;
mod rfc3339;
mod stored_letter;
mod stray;
mod trace;
mod unix_time;
mod verdict;
mod verification;

pub use backoff::{Backoff, Schedule};
pub use client_key::ClientKey;
pub use error_chain::ErrorChain;
pub use fingerprint::Fingerprint;
pub use hex::{from_hex, to_hex};
pub use history::{Ambiguity, History, VERIFIED};
#[cfg(any(test, fuzzing))]
pub use job::invariants as job_invariants;
pub use job::{
    ExpiryFault, InvalidJob, Job, JobDefaults, MAX_BODY_BYTES, MAX_TEXT_CHARS, without_mark,
};
pub use judge::{AttemptContext, Decision, GonePolicy, Policy, judge, judge_failed_check};
pub use key::JobKey;
pub use lane::{Lane, PerLane};
pub use line_starts::LineStarts;
pub use message_metadata::{JobId, MessageMetadata};
pub(crate) use named::named;
pub use outcome::{Completion, DeadLetter, Outcome, Reason};
pub use rate::Rate;
pub use redact::{Redactor, cut};
pub use retry::{Retry, RetryPolicy};
pub use rfc3339::{parse_rfc3339, rfc3339, rfc3339_millis};
pub use stored_letter::{DeadReason, StoredLetter};
pub use stray::Stray;
pub use trace::TraceContext;
pub use unix_time::{ALLOWED_SKEW, TimeUnit, age, has_passed, timestamp};
pub use verdict::{Blame, Failure, Rejection, ResultLabel, Verdict};
pub use verification::{CheckResult, Sightings, TokenState, VerifyPolicy, VerifyWhen};
