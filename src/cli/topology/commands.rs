//! The queues as commands.

use std::fmt::Write as _;

use serde_json::Value;

use super::word;
use crate::broker::Provisioning;

/// One command for each queue. They are commands of the `rabbitmqadmin` that the management plugin serves.
pub(super) fn text(provisioning: &Provisioning) -> String {
    let mut text = String::from(
        "\
# For the rabbitmqadmin that the management plugin serves up to RabbitMQ 4.2 (one file of Python). rabbitmqadmin v2 has
# other options: import the output of --format definitions with `rabbitmqadmin definitions import --file FILE`.
",
    );
    for queue in &provisioning.queues {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "rabbitmqadmin {} declare queue {} durable=true {}",
            word(&format!("--vhost={}", provisioning.vhost)),
            word(&format!("name={}", queue.name)),
            word(&format!("arguments={}", Value::Object(queue.arguments.clone()))),
        );
    }
    text
}
