//! What an operator asks the worker: metrics and probes. Read-only, without payloads.
//!
//! | path | answer |
//! | --- | --- |
//! | `/metrics` | the metrics, in Prometheus' text format |
//! | `/livez` | 200: the process runs |
//! | `/readyz` | 200 if every part does its work or waits on purpose, else 503; as JSON, with reasons |

mod readiness;
mod routes;
mod server;
#[cfg(test)]
mod tests;

pub use readiness::{PartReadiness, Readiness, State};
pub use routes::Parts;
pub use server::serve;
