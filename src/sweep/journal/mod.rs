//! The journal of a sweep: what stands for a queue where there is none.
//!
//! One entry for each line that has ended or was put off, and marks of how far lines were taken up. Both
//! are on disk before they count: an entry before its job is settled, a mark before any of its lines may
//! be called. So whatever happens, the journal tells of each line whether it is done, was not called, or
//! may have been called.
//!
//! Records are appended in batches, each synced before the next one begins: as many entries as came
//! while the disk was busy share one sync. A database would do the same with more to install, and nobody
//! could read it with `jq` in the middle of an incident.

mod entry;
mod fates;
mod open;
mod past;
mod record;
mod recover;
mod writer;

pub use entry::{Entry, Failed, What};
pub use fates::{Fate, Fates};
pub use open::{OpenError, Opened, Sweep, inspect, open};
pub use past::{Open, Past, Standing};
pub use record::{Header, InputId, Record};
pub use recover::{RecoverError, Recovered, recover};
pub use writer::{Health, Journal, Lost, WriteError, Writer};
