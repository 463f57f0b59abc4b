//! The worker dies, stands still, runs out of something, or is stopped.

mod clock;
mod killed;
mod limits;
mod logs;
mod panics;
mod stopped;
