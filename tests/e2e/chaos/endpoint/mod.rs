//! The endpoint is unreachable, answers nonsense, or is another server: transport failures that end.

mod bodies;
mod clients;
mod fault;
mod http2;
mod memory;
mod retry_after;
mod sequence;
mod sockets;
mod statuses;
mod tls;
mod verdicts;

pub use fault::EndpointFault;
