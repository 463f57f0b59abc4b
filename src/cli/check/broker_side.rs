//! The rows of the broker: the connection, the queues, and the rights of the user.

use std::sync::Arc;

use super::row::{CheckRow, FAULT, NOTE, OK, row};
use crate::{
    broker::{self, BrokerSettings, Declare, QueueCheck, Right, RightCheck, Unlike},
    config::Config,
    worker::shell_command,
};

/// Inspects the queues and the rights.
pub(super) async fn rows(config: &Config) -> Vec<CheckRow> {
    let settings = Arc::new(config.broker.clone());
    let found = match broker::inspect(&settings).await {
        Ok(found) => found,
        Err(error) => return vec![row("broker", FAULT, &error)],
    };
    let mut rows = vec![row("broker", OK, "reached")];
    rows.extend(found.queues.iter().map(|(queue, found)| of_queue(queue, found, &settings)));
    rows.extend(found.rights.iter().map(|(right, found)| of_right(*right, found, &settings)));
    rows
}

fn of_queue(queue: &str, found: &QueueCheck, settings: &BrokerSettings) -> CheckRow {
    let what = format!("queue {queue}");
    match found {
        QueueCheck::Fits(ready) => row(&what, OK, &format!("{ready} messages ready")),
        QueueCheck::Unlike(ready, unlike) => {
            let reason = match unlike {
                Unlike::Differs(difference) => format!("it has other arguments ({difference})"),
                Unlike::Unknown(refusal) => format!(
                    "its arguments are unknown, because this user may not declare it ({refusal})"
                ),
            };
            row(&what, NOTE, &format!("{ready} messages ready; it is used as it is: {reason}"))
        }
        QueueCheck::Missing if settings.declare.makes_missing() => {
            row(&what, NOTE, "not there yet; the worker will declare it")
        }
        QueueCheck::Missing => row(
            &what,
            FAULT,
            "not there, and broker.declare is false: declare it with the other queues of the broker, as `revoker topology print` shows",
        ),
        QueueCheck::Faulty(fault) => row(&what, FAULT, fault),
    }
}

fn of_right(right: Right, found: &RightCheck, settings: &BrokerSettings) -> CheckRow {
    let (what, proved) = match right {
        Right::Declare if settings.declare == Declare::Missing => {
            ("right to declare", "the user may declare the missing queues")
        }
        Right::Declare => ("right to declare", "the user may declare every queue"),
        Right::Consume => ("right to consume", "the user may consume both lanes"),
        Right::Publish => ("right to publish", "a message to no queue came back"),
    };
    match found {
        RightCheck::Granted => row(what, OK, proved),
        RightCheck::Refused(words) => {
            let first = words.first().map(String::as_str).unwrap_or_default();
            let more = match words.len() {
                0 | 1 => String::new(),
                all => format!(" and {} more", all - 1),
            };
            let grant = shell_command(broker::grant(settings));
            row(what, FAULT, &format!("{first}{more}. Grant what a worker needs: {grant}"))
        }
        RightCheck::Unknown(why) => row(what, FAULT, &format!("cannot be checked: {why}")),
    }
}
