//! The settings of the broker side. `config` reads and checks them.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

/// The settings of the broker connection.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
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
    /// Whether to declare the queues; otherwise only their presence is checked.
    pub declare: bool,
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
    /// The keys of the MAC over a parked job's history, if it has one.
    pub history_key_file: Option<PathBuf>,
    /// The delays for which each lane has a retry queue.
    pub park: Vec<Duration>,
}
