//! Sweeps: jobs from a file in place of a queue, and a journal in place of its acks.
//!
//! The engine is the one that works on a queue. [`FileSource`] is its source, and a settlement is an
//! entry in the [`journal`]. What a broker does besides is done here: jobs that are parked or handed back
//! wait in `stays` and come again, no more are in hand than the prefetch allows, and what may have been
//! called before a crash is delivered as redelivered.
//!
//! Data flows like this: [`begin`] opens input and journal; `scan` makes blocks of jobs out of lines;
//! `loader` has the journal mark them; `source` gives them out; `delivery` writes how they ended; [`close`]
//! says the last word.

mod begin;
mod calls;
mod delivery;
mod end;
mod failed;
mod identity;
pub mod journal;
mod latency;
mod loader;
mod reader;
mod report;
mod scan;
mod source;
mod stays;
mod survey;
mod tally;

pub use begin::{BeginError, Begun, STDIN, Settings, begin, is_file};
pub use calls::{Calls, Counted};
pub use delivery::LineDelivery;
pub use end::{close, read_back};
pub use failed::{Listed, list_at as list_failed};
pub use loader::LoadError;
pub use reader::InputFault;
pub use report::{GoesOn, Percentiles, Report, Results, Run, Sources};
pub use source::{Control, End, FileSource};
pub use survey::{Refused, Survey, survey};
pub use tally::{Counts, Tally};
