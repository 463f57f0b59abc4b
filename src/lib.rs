//! Revoker: a background worker that revokes refresh tokens.
//!
//! Jobs arrive on a RabbitMQ queue; each becomes a call to an OAuth-style revoke endpoint. It never
//! loses a job, never says "revoked" without proof, and never shows a token.
//!
//! Data flows one way: delivery, job, attempts, outcome, settlement. So do imports:
//! `domain <- metrics, ports, report <- flow | endpoint | broker | spans | input <- sweep, pipeline <- config, admin <- logs, worker, mock_endpoint <- cli`.

mod admin;
pub mod broker;
pub mod cli;
mod config;
pub mod domain;
pub mod endpoint;
pub mod flow;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod input;
mod logs;
pub mod metrics;
pub mod mock_endpoint;
pub mod pipeline;
pub mod ports;
mod report;
pub mod spans;
mod sweep;
mod worker;
