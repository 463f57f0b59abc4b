//! Sweeps: jobs from a file in place of a queue, and a journal in place of its acks.
//!
//! A sweep uses the worker's pipeline. [`source::FileSource`] is its source, and a settlement is an entry in the
//! [`journal`]. This module replaces the broker. Parked and requeued jobs wait in the `delay_queue`. The prefetch
//! bounds the jobs in flight. A job that may have been called before a crash is flagged as redelivered.
//!
//! The data flow: [`begin`] opens input and journal. `scan` turns lines into blocks of jobs. `loader` marks them in the
//! journal, and `source` delivers them. `delivery` records their outcome, and [`close`] ends the journal.

mod begin;
mod calls;
mod close;
mod counters;
mod delay_queue;
mod delivery;
mod failed;
mod failures;
mod identity;
pub mod journal;
mod loader;
mod lookup;
mod pace;
mod reader;
mod report;
mod report_page;
mod scan;
mod source;
mod survey;

pub use begin::{BeginError, OpenedSweep, SweepSettings, begin, is_file};
pub use calls::{Calls, CountedEndpoint};
pub use close::{close, read_back};
#[cfg(test)]
pub use counters::count_lines;
pub use counters::{LineCounts, SweepCounters, SweepCounts};
pub use failed::{FailedList, list_at as list_failed, remove as remove_list};
pub use loader::LoadError;
pub use lookup::{LookupError, LookupSettings, LookupSummary, lookup};
pub use pace::{SweepPace, ended_position};
pub use report::{ReportSources, RunReport, SweepReport};
pub use source::{SourceEnd, SweepControl};
pub use survey::{RefusedLine, Survey, survey};
