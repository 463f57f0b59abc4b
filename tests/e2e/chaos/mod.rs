//! Faults under load: each case is one row of a published table.
//!
//! A case publishes a few thousand confirmed jobs to both lanes, injects one fault under load, and counts evidence that
//! the fault happened. It ends with an audit that is the same for all cases: every job is accounted for, and duplicate
//! work stays within a stated bound. The counters of every worker balance, and no output shows a secret. The tests
//! beside this folder cover the effect of a fault on a single job.
//!
//! `REVOKER_SEED`, which every case prints, determines the rejected tokens, the lanes and the time of each
//! fault. With `REVOKER_FULL` set the cases have their full size.

mod case;
mod documented;
mod expected;
mod plan;
mod recorded;
mod row;
mod script;
mod seed;

mod broker;
mod configuration;
mod endpoint;
mod network;
mod producer;
mod worker;

pub use case::Case;
pub use expected::{BROKER_DROPPED, Ending};
pub use plan::{Area, Plan, without_fault};
pub use row::Evidence;
pub use script::EndpointScript;

/// Returns `full` if `REVOKER_FULL` is set, otherwise `short`: the same case, fast enough for every run.
pub fn sized<T>(short: T, full: T) -> T {
    if std::env::var_os("REVOKER_FULL").is_some() { full } else { short }
}
