//! The admin server: metrics, probes and the status page. It is read-only and shows no payloads.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | the state on one page, for a person |
//! | `/metrics` | the metrics, in Prometheus' text format |
//! | `/livez` | 200: the process runs |
//! | `/readyz` | 200 if every part does its work or waits on purpose, else 503; as JSON, with reasons |

mod readiness;
mod routes;
mod server;
mod status;
mod subject;
#[cfg(test)]
mod tests;

pub use readiness::{Readiness, ReadinessState};
pub use routes::ReadinessParts;
pub use server::serve;
pub use status::text;
pub use subject::Subject;
