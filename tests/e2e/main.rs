//! End-to-end tests: the real binary, a real RabbitMQ, a real HTTP server.
//!
//! The endpoint's ledger or the broker triggers each fault, never the clock, and every test of a fault asserts that its
//! fault happened. The harness searches the output of every process for canaries, which all tokens, secrets and
//! passwords contain.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it cannot handle has failed"
)]

mod harness;

mod admin_port;
mod ambiguity;
mod architecture;
mod authorization_servers;
mod broker_faults;
mod broker_versions;
mod causes;
mod chaos;
mod checking;
mod clients;
mod cluster;
mod configuring;
mod connection_names;
mod core_dumps;
mod crashes;
mod dead_letters;
mod dead_queue;
mod duplicates;
mod encryption;
mod enqueueing;
mod existing_topology;
mod expiring;
mod fleet;
mod handshakes;
mod hangups;
mod hostile;
mod lanes;
mod long_outage;
mod monitoring;
#[cfg(feature = "otlp")]
mod otlp;
mod outage;
mod outcomes;
mod output;
mod pauses;
mod poison;
mod profiles;
mod provisioning;
mod publishing;
mod rejecting;
mod rejection_limit;
mod replicas;
mod reports;
mod retrying;
mod revision;
mod revoking;
mod rotation;
mod scheduling;
mod schemas;
mod secrecy;
mod stopping;
mod sweep_crashes;
mod sweep_files;
mod sweep_outages;
mod sweeping;
mod terminals;
mod top;
mod traces;
mod verifying;
mod waiting;
mod wrong_secret;
