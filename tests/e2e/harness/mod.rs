//! The test harness: a real RabbitMQ, a scripted endpoint over real sockets, the real binary.
//!
//! It uses only the product's public names, and knows nothing of its code.

pub mod amqp;
pub mod authorization_server;
pub mod broker;
pub mod canary;
pub mod cluster;
pub mod endpoint;
pub mod failing_clock;
pub mod feed;
pub mod gate;
pub mod message;
pub mod node;
pub mod old_tls;
pub mod pki;
pub mod preload;
pub mod process;
#[cfg(feature = "otlp")]
pub mod protobuf;
pub mod raw;
pub mod relay;
pub mod resolver;
pub mod scrape;
pub mod stage;
pub mod stored_message;
pub mod swept;
pub mod terminal;
pub mod wait;
pub mod web;
pub mod worker;

pub use canary::token;
pub use endpoint::{Answer, AnswerKind, Call, Endpoint};
pub use gate::{Gate, Gates};
pub use message::{Message, fingerprint};
pub use stage::Stage;
pub use stored_message::StoredMessage;
pub use swept::Swept;
pub use terminal::Terminal;
pub use wait::eventually;
pub use worker::{Launch, Worker};

/// The interactive lane's queue.
pub const INTERACTIVE: &str = "revocations";
/// The bulk lane's queue.
pub const BULK: &str = "revocations.bulk";
/// The dead-letter queue.
pub const DEAD: &str = "revocations.dead";
/// The queue of outcome events, where a test wants them.
pub const OUTCOMES: &str = "revocations.outcomes";
