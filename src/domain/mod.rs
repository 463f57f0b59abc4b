//! The words of the trade and their rules: job, lane, verdict, retry schedule, outcome, settlement.
//!
//! Everything here is pure: no I/O, no clock, no randomness of its own. Time and chance come in as
//! arguments, so every rule can be tested as a table.

mod arrival;
mod backoff;
mod client_key;
mod fingerprint;
mod history;
mod job;
mod judge;
mod key;
mod lane;
mod outcome;
mod rate;
mod redact;
mod retry;
mod stored_letter;
mod stray;
mod trace;
mod unix_time;
mod verdict;

pub use arrival::{Arrival, JobId};
pub use backoff::{Backoff, Schedule};
pub use client_key::ClientKey;
pub use fingerprint::Fingerprint;
pub use history::{Ambiguity, History};
#[cfg(any(test, fuzzing))]
pub use job::invariants as job_invariants;
pub use job::{
    ExpiryFault, InvalidJob, Job, JobDefaults, MAX_BODY_BYTES, MAX_TEXT_CHARS, without_mark,
};
pub use judge::{Circumstances, Judgement, Policy, judge};
pub use key::JobKey;
pub use lane::{Lane, PerLane};
pub use outcome::{DeadLetter, Ending, Outcome, Parking, Reason, Settlement};
pub use rate::Rate;
pub use redact::{Redactor, cut};
pub use retry::{Retry, RetryPolicy};
pub use stored_letter::{DeadReason, StoredLetter};
pub use stray::Stray;
pub use trace::TraceContext;
pub use unix_time::{ALLOWED_SKEW, TimeUnit, age, has_passed, timestamp};
pub use verdict::{Blame, Failure, Rejection, ResultLabel, Verdict};
