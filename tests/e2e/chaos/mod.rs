//! Faults under load: each case is one row of a published table.
//!
//! A case publishes a few thousand confirmed jobs to both lanes, lets one fault happen while they are
//! worked off, says how it knows that the fault happened, and ends with an audit that is the same for all:
//! every job is accounted for, nothing is done twice beyond a stated bound, the books of every worker
//! balance, and no output shows a secret. What a fault does to a single job is told by the tests beside
//! this folder; here is what it does to a busy worker.
//!
//! Which jobs are condemned, which lane they are in and when a fault comes is drawn from `REVOKER_SEED`,
//! which every case prints. With `REVOKER_FULL` set the cases have their full size.

mod books;
mod documented;
mod law;
mod plan;
mod row;
mod seed;
mod trial;

mod broker;
mod configuration;
mod endpoint;
mod network;
mod producer;
mod worker;

pub use books::{BROKER_DROPPED, Ending};
pub use law::Law;
pub use plan::{Area, Plan, lawful};
pub use row::Evidence;
pub use trial::Trial;

/// `full` where `REVOKER_FULL` is set, else `short`: the same case, fast enough for every day.
pub fn sized<T>(short: T, full: T) -> T {
    if std::env::var_os("REVOKER_FULL").is_some() { full } else { short }
}
