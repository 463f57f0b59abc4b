//! The least rights of each role as commands of `rabbitmqctl`.

use std::fmt::Write as _;

use super::{exactly, word};
use crate::broker::{Declare, Provisioning};

/// The name by which permissions know the default exchange.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// A role: its user, the comment on its rights, and these: to configure, to write, to read.
struct Role {
    user: &'static str,
    comment: &'static str,
    rights: [String; 3],
}

pub(super) fn text(provisioning: &Provisioning, declare: Declare) -> String {
    let mut text = String::from(
        "\
# The rights in the virtual host: to configure, to write, to read. Replace the users' names. Each pattern names its
# queues one by one, so a changed broker.queue or retry.park needs new patterns.
",
    );
    for Role { user, comment, rights } in
        [worker(provisioning, declare), producer(), operator(provisioning)]
    {
        let rights = rights.map(|right| word(&right)).join(" ");
        let vhost = word(&provisioning.vhost);
        // Writing to a string does not fail.
        let _ =
            write!(text, "\n{comment}\nrabbitmqctl set_permissions -p {vhost} {user} {rights}\n");
    }
    text
}

fn worker(provisioning: &Provisioning, declare: Declare) -> Role {
    let all = provisioning.queues.iter().map(|queue| queue.name.as_str());
    let lanes = provisioning.lanes.iter().map(String::as_str);
    if declare.makes_missing() {
        return Role {
            user: "revoker-worker",
            comment: "\
# The worker declares the queues, consumes from the lanes, and publishes dead letters and parked jobs. To declare a queue
# with a dead-letter exchange takes the right to read it.",
            rights: [
                exactly(all),
                exactly([DEFAULT_EXCHANGE]),
                exactly(lanes.chain(provisioning.retry())),
            ],
        };
    }
    Role {
        user: "revoker-worker",
        comment: "\
# The worker consumes from the lanes, and publishes dead letters and parked jobs. Since RabbitMQ 4.2.7 and 4.3.1 it sees
# the other queues only with a right on them. Only 4.2.6 and 4.3.0 need the right to configure all of them.",
        rights: [
            exactly([]),
            exactly([DEFAULT_EXCHANGE].into_iter().chain(provisioning.others())),
            exactly(lanes),
        ],
    }
}

fn producer() -> Role {
    Role {
        user: "revoker-producer",
        comment: "\
# A producer publishes. The default exchange reaches every queue of the virtual host, so give the queues a virtual host of
# their own. `revoker enqueue` as this user needs broker.declare = false.",
        rights: [exactly([]), exactly([DEFAULT_EXCHANGE]), exactly([])],
    }
}

fn operator(provisioning: &Provisioning) -> Role {
    Role {
        user: "revoker-operator",
        comment: "\
# An operator reads dead letters and outcome events, and publishes what is replayed. `revoker dead-letters replay` needs
# broker.declare = false as this user.",
        rights: [
            exactly([]),
            exactly([DEFAULT_EXCHANGE]),
            exactly([provisioning.dead.as_str()].into_iter().chain(provisioning.outcomes.as_deref())),
        ],
    }
}
