//! The journal of a sweep, in place of a queue.
//!
//! It has one entry for each line that ended or is delayed, and marks of the last started line. An entry is on disk
//! before its job is settled. A mark is on disk before any of its lines may be called. So for each line, the journal
//! shows whether it is finished, was not called, or may have been called.
//!
//! Records are appended in batches, and each batch is synced before the next: entries that come during a sync share the
//! next one. A database would be one more dependency, and could not be read with `jq` during an incident.

mod entry;
mod open;
mod outcomes;
mod record;
mod recover;
mod state;
mod writer;

pub use entry::{EntryKind, JournalEntry, LineJob};
pub use open::{JournalOpenError, OpenedJournal, ResumeCheck, inspect, open};
pub use outcomes::{LineOutcome, LineOutcomes};
pub use record::{InputId, JournalHeader, JournalRecord};
pub use recover::{RecoverError, header, recover, walk};
pub use state::{JournalState, LineState, OpenLine};
pub use writer::{Journal, JournalLost, JournalWriter, WriteError};
