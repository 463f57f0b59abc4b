//! The worker is killed, is suspended, runs out of a resource, or is stopped.

mod clock;
mod killed;
mod limits;
mod logs;
mod panics;
mod stopped;
