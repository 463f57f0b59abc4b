//! The broker: sessions, topology, consuming, publishing, settling. Nothing else may name lapin.
//!
//! Two connections, supervised apart: one consumes and acks, one publishes. A blocked connection
//! writes nothing, not even acks, and a failure to publish must never end the session whose verdicts
//! are in hand.

mod acks;
mod batch;
mod bulk;
mod cause;
mod confirm;
mod connect;
mod connection;
mod dead;
mod delivery;
mod depths;
mod handshake;
mod headers;
mod inspect;
mod lane;
mod link;
mod outbox;
mod producer;
mod publisher;
mod queues;
mod receipt;
mod session;
mod settings;
mod starvation;
mod stream;
mod supervise;
mod topology;

pub use cause::Cause;
pub use connect::{Connector, Purpose, Unreachable};
pub use dead::{
    DeadQueue, Held, Holding, Identity, Look, LookError, Particulars, Published, ReplayError,
    Replayer, Tag, Unanswered,
};
pub use delivery::{AmqpDelivery, Exits};
#[cfg(any(test, fuzzing))]
pub use headers::invariants as header_invariants;
pub use inspect::{Found, inspect};
pub use outbox::Outbox;
pub use producer::{PrepareError, Producer};
pub use publisher::{Closed, Letter, Publisher, Publishing};
pub use queues::Queues;
pub use session::Wanted;
pub use settings::Settings;
#[cfg(any(test, fuzzing))]
pub use stream::invariants as stream_invariants;
pub use stream::{Budget, Charge};
pub use supervise::{AmqpSource, Consuming, Control, Supervisor};
pub use topology::TopologyError;

/// What of a session and of publishing needs no socket: for whoever plays the broker's side of them.
pub mod seams {
    pub use super::{
        acks::Frame,
        headers::read as read_arrival,
        publisher::Posted,
        receipt::{ChannelLedger, Receipt},
    };
}
