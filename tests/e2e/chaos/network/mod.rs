//! The ways between the worker, its broker and its endpoint.

mod half_open;
mod line;
mod names;
mod torn;

use crate::{chaos::Trial, harness::relay::Relay};

/// Leads the worker to its broker by way of `relay`.
fn broker_by(trial: &mut Trial, relay: &Relay) {
    let url = trial.stage.url_by(relay);
    trial.launch = trial.launch.clone().set("broker.url", url);
}

/// Leads the worker to its endpoint by way of `relay`.
fn endpoint_by(trial: &mut Trial, relay: &Relay) {
    let url = format!("http://{}/revoke", relay.address());
    trial.launch = trial.launch.clone().set("endpoint.url", url);
}
