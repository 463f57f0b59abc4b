//! The rules of jobs: job, lane, verdict, retry schedule, outcome.
//!
//! Everything here is pure: no I/O, no clock, no randomness. Time and jitter are arguments, so every rule can
//! be tested as a table.

mod backoff;
mod client_key;
mod connect_fault;
mod error_chain;
mod failure_class;
mod fingerprint;
mod grouped;
mod hex;
mod history;
mod job;
mod job_record;
mod judge;
mod key;
mod lane;
mod line_starts;
mod message_metadata;
mod named;
mod outcome;
mod proof;
#[cfg(test)]
pub(crate) mod published_schema;
mod rate;
mod redact;
mod retry;
mod rfc3339;
mod stored_letter;
mod stray;
mod symptom;
mod token_name;
mod trace;
mod unix_time;
mod verdict;
mod verification;

pub use backoff::{Backoff, Schedule};
pub use client_key::ClientKey;
pub use connect_fault::Peer;
pub use error_chain::ErrorChain;
pub use failure_class::FailureClass;
pub use fingerprint::Fingerprint;
pub use grouped::grouped;
pub use hex::{from_hex, to_hex, write_hex};
pub use history::{Ambiguity, History, VERIFIED};
#[cfg(any(test, fuzzing))]
pub use job::invariants as job_invariants;
pub use job::{
    ExpiryFault, InvalidJob, Job, JobDefaults, MAX_BODY_BYTES, MAX_TEXT_CHARS, without_mark,
};
pub use job_record::JobRecord;
pub use judge::{
    AttemptContext, Decision, GonePolicy, Policy, judge, judge_failed_check, judge_postponed_check,
};
pub use key::JobKey;
pub use lane::{Lane, PerLane};
pub use line_starts::LineStarts;
pub use message_metadata::{JobId, MessageMetadata};
pub(crate) use named::named;
pub use outcome::{Completion, DeadLetter, Outcome, Reason};
pub use proof::Proof;
pub use rate::Rate;
pub use redact::{Redactor, cut};
pub use retry::{Retry, RetryPolicy};
pub use rfc3339::{Rfc3339Text, parse_rfc3339, rfc3339, rfc3339_millis};
pub use stored_letter::{DeadReason, StoredLetter};
pub use stray::Stray;
pub use symptom::{CallTarget, Symptom};
pub use token_name::{TokenHash, TokenName};
pub use trace::TraceContext;
pub use unix_time::{ALLOWED_SKEW, TimeUnit, age, has_passed, timestamp};
pub use verdict::{Blame, Failure, Rejection, ResultLabel, Verdict};
pub use verification::{CheckResult, Sightings, TokenState, VerifyPolicy, VerifyWhen};
