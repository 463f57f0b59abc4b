//! The broker goes away, ends a session, refuses, or runs out of a resource.
//!
//! Faults of a whole node are for a node that these cases harm in turn; its restarts and alarms take
//! seconds each, so `make chaos` alone runs those.

mod alarms;
mod cluster;
mod limits;
mod queues;
mod restarts;
mod rights;
mod sessions;
