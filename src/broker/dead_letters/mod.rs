//! The dead-letter queue as commands see it: browse all messages, then replay or discard some of them.
//!
//! A browse holds every message of the queue unacked until its end. Then it closes the channel, and the broker
//! requeues what was not acked. A quorum queue keeps its order this way, even if the process is killed. This
//! works only if all of its messages were held: a requeued message goes behind those that were requeued before. A
//! browse that holds a part moves that part to the end. `basic.get` with nacks does so with every message.

mod ack_session;
mod batch_action;
mod batch_budget;
mod batch_run;
mod browse;
mod details;
mod identity;
mod message;
mod progress;
mod queue;
mod reader;
mod redaction;
mod replayer;
mod return_order;
mod selected_set;
mod throttle;
mod window;

pub use batch_action::{ActionError, BatchAction, Discard};
pub use batch_run::BatchRun;
pub use details::MessageDetails;
pub use identity::MessageIdentity;
pub use message::BrowsedMessage;
pub use progress::{BrowseProgress, BrowseStep};
pub use queue::{BrowseError, BrowseSummary, DeadLetterQueue};
pub use replayer::Replayer;
pub use selected_set::SelectedSet;
