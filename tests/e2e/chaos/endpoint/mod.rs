//! The endpoint is away, lies, or is somebody else: all of it is weather, and ends.

mod bodies;
mod clients;
mod http2;
mod memory;
mod procession;
mod retry_after;
mod sockets;
mod statuses;
mod tls;
mod verdicts;
mod weather;

pub use weather::Weather;
