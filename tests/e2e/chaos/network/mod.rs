//! Faults of the network between the worker, its broker and its endpoint.

mod half_open;
mod line;
mod names;
mod torn;

use crate::{chaos::Case, harness::relay::Relay};

/// Connects the worker to its broker through `relay`.
fn broker_by(case: &mut Case, relay: &Relay) {
    let url = case.stage.url_by(relay);
    case.launch = case.launch.clone().set("broker.url", url);
}

/// Connects the worker to its endpoint through `relay`.
fn endpoint_by(case: &mut Case, relay: &Relay) {
    let url = format!("http://{}/revoke", relay.address());
    case.launch = case.launch.clone().set("endpoint.url", url);
}
