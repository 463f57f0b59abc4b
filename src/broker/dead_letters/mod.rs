//! The dead-letter queue as commands see it: browse all messages, then replay or discard some of them.
//!
//! A browse holds every message of the queue unacked until its end. Then it closes the channel, and the broker requeues
//! the unacked messages. A quorum queue keeps its order this way, even if the process is killed. This works only if all
//! of its messages were held: a requeued message goes behind those that were requeued before. A browse that holds a
//! part moves that part to the end. `basic.get` with nacks does so with every message.

mod ack_session;
pub(super) mod batch_action;
mod batch_budget;
pub(super) mod batch_run;
mod browse;
pub(super) mod details;
pub(super) mod identity;
pub(super) mod message;
pub(super) mod queue;
mod reader;
mod redaction;
pub(super) mod replayer;
mod requeue;
mod return_order;
pub(super) mod selected_set;
mod throttle;
mod window;
