//! The broker: sessions, topology, consuming, publishing, settling. Nothing else may name lapin.
//!
//! There are three connections, each supervised on its own: one per lane consumes and acks, and one publishes. A
//! blocked connection writes nothing, not even acks, so a consuming connection never publishes. A failed publish
//! never ends a session. A failure of one lane's connection does not stop the other lane.

mod acks;
mod advice;
mod batch;
mod cause;
mod channel_failure;
mod commands;
mod confirm_channel;
mod confirm_timeout;
mod connect;
mod connection;
mod connection_errors;
mod consuming;
mod consumption;
mod counting;
mod dead_letters;
mod delivery;
mod depths;
mod destination;
mod event_properties;
mod explain;
mod handshake;
mod headers;
mod history_keys;
mod inspect;
mod lane;
mod lane_sessions;
mod one_job;
mod outcome_event;
mod outgoing;
mod pending;
mod producer;
mod provisioning;
mod publish_health;
#[cfg(test)]
mod published_schemas;
mod publisher;
mod publishing;
mod queues;
mod receipt;
mod reconnect;
mod rights;
mod session;
mod session_end;
mod settings;
mod shown;
mod starvation;
mod stream;
mod supervise;
mod topology;
mod wait;

pub(crate) use commands::ConsumerControl;
pub(crate) use consuming::Consuming;
pub(crate) use dead_letters::{
    batch_action::{ActionError, BatchAction, Discard},
    batch_run::BatchRun,
    details::MessageDetails,
    identity::MessageIdentity,
    message::BrowsedMessage,
    queue::{BrowseError, BrowseProgress, BrowseStep, BrowseSummary, DeadLetterQueue},
    replayer::Replayer,
    selected_set::SelectedSet,
};
pub use delivery::{AmqpDelivery, SettlementTargets};
#[cfg(any(test, fuzzing))]
pub use headers::invariants as header_invariants;
pub use history_keys::{HistoryKeyFault, HistoryKeys};
pub(crate) use inspect::{QueueCheck, Right, RightCheck, inspect};

pub use outgoing::OutgoingMessage;
pub(crate) use producer::Producer;
pub(crate) use provisioning::{ProvisionedQueue, Provisioning};
pub use publish_health::PublishHealth;
pub use publisher::Publisher;
pub(crate) use publishing::Publishing;
pub use queues::Queues;
pub(crate) use settings::{BrokerSettings, Declare};
pub(crate) use shown::{arguments_of, grant, shown_urls};
#[cfg(any(test, fuzzing))]
pub use stream::invariants as stream_invariants;
pub(crate) use supervise::{AmqpSource, Supervisor};
pub(crate) use topology::{PrepareError, TopologyError, Unlike};

/// The parts of sessions and publishing that need no socket, for tests that play the broker.
pub mod seams {
    pub use super::{
        acks::{Frame, Settle},
        headers::{Received, read as read_metadata},
        publisher::PublishRequest,
        receipt::{ChannelLedger, Receipt},
    };
}
