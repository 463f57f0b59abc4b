//! Policies that stand in for the arguments of queues, and what no policy may do.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{exactly, word};
use crate::broker::{ProvisionedQueue, Provisioning};

/// The prefix of an argument that a policy can give too.
const PREFIX: &str = "x-";

/// The argument that no policy can give.
const QUEUE_TYPE: &str = "x-queue-type";

pub(super) fn text(provisioning: &Provisioning) -> String {
    let mut text = String::from(
        "\
# No policy may match these queues and set:
#   delivery-limit below 1000000: the lower limit wins, and the broker drops or dead-letters jobs behind it;
#   expires, or message-ttl on a lane or the dead-letter queue: jobs and dead letters vanish;
#   max-length or max-length-bytes with overflow drop-head: the oldest jobs vanish;
#   dead-letter-*, where the queue's arguments do not say the same.
# Of several policies that match a queue, only the one with the highest priority applies.
#
# Queues that are declared with the arguments of --format definitions need no policy. These policies are for queues that
# exist with x-queue-type: quorum alone. The worker then needs broker.declare = false, because its arguments differ.
",
    );
    for queue in &provisioning.queues {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "rabbitmqctl set_policy -p {} --priority 100 --apply-to queues {} {} {}",
            word(&provisioning.vhost),
            word(&format!("revoker {}", queue.name)),
            word(&exactly([queue.name.as_str()])),
            word(&Value::Object(definition(queue)).to_string()),
        );
    }
    text
}

/// The arguments of a queue as the definition of a policy.
fn definition(queue: &ProvisionedQueue) -> Map<String, Value> {
    let arguments = queue.arguments.iter().filter(|(name, _)| *name != QUEUE_TYPE);
    arguments
        .map(|(name, value)| (name.trim_start_matches(PREFIX).to_owned(), value.clone()))
        .collect()
}
