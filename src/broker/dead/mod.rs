//! The dead-letter queue as its tools see it: looked at without disturbing it, and emptied letter by
//! letter.
//!
//! A look holds every letter of the queue unacked until it is over; then the channel is closed, and the
//! broker puts back what was not acked. That keeps the order of a quorum queue, however the tool ends,
//! as long as all of its letters were held: what comes back is put behind other letters that came back
//! before, and a look at a part would turn the queue round by that part. `basic.get` and nacks do that
//! with every letter.

mod held;
mod holding;
mod identity;
mod look;
mod order;
mod particulars;
mod queue;
mod read;
mod replayer;
mod veil;
mod window;

pub use held::{Held, Tag};
pub use identity::Identity;
pub use look::{Aim, Look};
pub use particulars::Particulars;
pub use queue::{DeadQueue, LookError, Unanswered};
pub use replayer::{Published, Replayer};
