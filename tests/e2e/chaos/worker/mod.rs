//! The worker dies, stands still, runs out of something, or is stopped.

mod killed;
