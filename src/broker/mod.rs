//! The broker: sessions, topology, consuming, publishing, settling. Nothing else may name lapin.
//!
//! Three connections, supervised apart: each lane consumes and acks on one of its own, and one publishes. A
//! blocked connection writes nothing, not even acks; a failure to publish must never end the session whose
//! verdicts are in flight; and what breaks one lane's connection must not stop the other lane.

mod acks;
mod advice;
mod announced;
mod batch;
mod broken;
mod cause;
mod commands;
mod confirm_channel;
mod connect;
mod connection;
mod consuming;
mod consumption;
mod counting;
mod dead_letters;
mod delivery;
mod depths;
mod destination;
mod ending;
mod handshake;
mod headers;
mod history_keys;
mod inspect;
mod lane;
mod lane_sessions;
mod one_job;
mod outbox;
mod pace;
mod patience;
mod pending;
mod producer;
mod publisher;
mod publishing;
mod queues;
mod receipt;
mod session;
mod settings;
mod starvation;
mod stream;
mod supervise;
mod topology;
mod wait;

pub use cause::Cause;
pub use commands::{Control, Wanted};
pub use confirm_channel::PrepareError;
pub use connect::{Connector, Purpose, Unreachable};
pub use consuming::Consuming;
pub(crate) use dead_letters::{
    ActionError, BatchAction, BatchRun, BrowseError, BrowseProgress, BrowseStep, BrowseSummary,
    BrowsedMessage, DeadLetterQueue, Discard, MessageDetails, MessageIdentity, Replayer,
    SelectedSet,
};
pub use delivery::{AmqpDelivery, Exits};
#[cfg(any(test, fuzzing))]
pub use headers::invariants as header_invariants;
pub use history_keys::{HistoryKeyFault, HistoryKeys};
pub use inspect::{Found, inspect};
pub use outbox::Outbox;
pub use producer::Producer;
pub use publisher::{Letter, NotPublished, Publisher};
pub use publishing::Publishing;
pub use queues::Queues;
pub use settings::Settings;
#[cfg(any(test, fuzzing))]
pub use stream::invariants as stream_invariants;
pub use stream::{Budget, Charge};
pub use supervise::{AmqpSource, Supervisor};
pub use topology::TopologyError;

/// What of a session and of publishing needs no socket: for whoever plays the broker's side of them.
pub mod seams {
    pub use super::{
        acks::Frame,
        headers::{Received, read as read_arrival},
        publisher::Posted,
        receipt::{ChannelLedger, Receipt},
    };
}
