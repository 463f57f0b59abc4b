//! The queues as RabbitMQ's definitions.

use serde_json::{Value, json};

use crate::broker::Provisioning;

/// A definitions file with the queues alone. Virtual hosts are left out: an import would change the settings of one that
/// exists. Users are left out because of their passwords.
pub(super) fn text(provisioning: &Provisioning) -> String {
    let queues: Vec<Value> = provisioning
        .queues
        .iter()
        .map(|queue| {
            json!({
                "name": queue.name,
                "vhost": provisioning.vhost,
                "durable": true,
                "auto_delete": false,
                "arguments": queue.arguments,
            })
        })
        .collect();
    // Names and numbers always serialize.
    let mut text = serde_json::to_string_pretty(&json!({ "queues": queues })).unwrap_or_default();
    text.push('\n');
    text
}
