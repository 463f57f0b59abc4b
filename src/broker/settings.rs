//! The settings of the broker side. `config` reads and checks them.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::queues::Queues;

/// Which queues are declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declare {
    /// All of them. A queue that exists with other arguments is a fault.
    All,
    /// Those that do not exist. The others are used as they are.
    Missing,
    /// None. All of them must exist.
    Never,
}

impl Declare {
    /// Whether a queue that does not exist is declared.
    #[must_use]
    pub const fn makes_missing(self) -> bool {
        matches!(self, Self::All | Self::Missing)
    }
}

/// The settings of the broker connection.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// The command that connects, for the names of its connections in the broker's lists.
    pub command: &'static str,
    /// URLs (`amqp://` or `amqps://`) with their passwords, tried in order.
    pub urls: Vec<SecretString>,
    /// Certificate authorities (PEM) to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM), if the broker asks for one.
    pub client_certificate_file: Option<PathBuf>,
    /// The key (PEM, PKCS#8) of our certificate.
    pub client_key_file: Option<PathBuf>,
    /// The interactive lane's queue; the other queues' names derive from it.
    pub queue: String,
    /// The queue for outcome events, if they are wanted.
    pub outcomes: Option<String>,
    /// Which queues to declare; the presence of the others is checked.
    pub declare: Declare,
    /// The most unacked deliveries of each lane.
    pub prefetch: u16,
    /// The most bytes of messages in flight, over both lanes.
    pub in_flight_bytes: u64,
    /// The AMQP heartbeat, in whole seconds on the wire.
    pub heartbeat: Duration,
    /// The time limit of connecting to one host, TCP, TLS and AMQP together.
    pub connect_timeout: Duration,
    /// How long a publish may stay unconfirmed.
    pub confirm_timeout: Duration,
    /// The keys of the MAC over the history of parked jobs and dead letters, if there are any.
    pub history_key_file: Option<PathBuf>,
    /// The delays for which each lane has a retry queue.
    pub park: Vec<Duration>,
}

impl BrokerSettings {
    /// The queues of a worker with these settings.
    #[must_use]
    pub fn queues(&self) -> Queues {
        Queues::new(&self.queue, &self.park).with_outcomes(self.outcomes.as_deref())
    }
}
