//! The broker disappears, ends a session, refuses messages, or runs out of a resource.
//!
//! Faults of a whole node use a separate node, one case at a time. Restarts and alarms take seconds each, so only `make
//! chaos` runs these cases.

mod alarms;
mod cluster;
mod limits;
mod queues;
mod restarts;
mod rights;
mod sessions;
