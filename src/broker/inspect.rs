//! Inspects the queues and the rights of the user without changing anything, for `revoker check`.
//!
//! RabbitMQ checks a right before it checks the arguments of a request. So a request with an impossible argument shows
//! whether the right is there, and does nothing. A queue declared under another name would prove nothing, because
//! rights are patterns of names.

use std::{sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};

use super::{
    batch::BLOCKED,
    cause::CloseCause,
    connect::{Connector, Purpose},
    connection::{CLOSE_TIMEOUT, Connection},
    queues::{Queues, short},
    rights,
    settings::{BrokerSettings, Declare},
    topology::{self, ANSWER_LIMIT, Occupancy, TopologyError, Unlike},
    wait::ConnectionState,
};
use crate::domain::Lane;

/// The result for one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueCheck {
    /// It is correct, with this many ready messages.
    Fits(u32),
    Missing,
    /// It is used although it is not known to have our arguments: its ready messages, and the reason.
    Unlike(u32, Unlike),
    /// It is wrong, or could not be inspected.
    Faulty(String),
}

/// A right that a worker needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To declare the queues.
    Declare,
    /// To consume the lanes.
    Consume,
    /// To publish dead letters and parked jobs.
    Publish,
}

/// Whether the user has a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightCheck {
    Granted,
    /// The broker's words, for each queue that is refused.
    Refused(Vec<String>),
    /// It could not be asked.
    Unknown(String),
}

/// The results of an inspection.
#[derive(Debug)]
pub struct Inspection {
    pub queues: Vec<(String, QueueCheck)>,
    pub rights: Vec<(Right, RightCheck)>,
}

/// Inspects every queue of the worker, and the rights. Fails if the broker cannot be reached.
pub async fn inspect(settings: &Arc<BrokerSettings>) -> Result<Inspection, String> {
    let mut connector = Connector::new(Arc::clone(settings));
    let connection = connector.connect(Purpose::Check).await.map_err(|error| error.to_string())?;
    let queues = settings.queues();
    let (found, declare) = inspect_queues(&connection, &queues, settings.declare).await;
    let consume = ask_to_consume(&connection, &queues).await;
    // Last: while an alarm is on, the broker reads nothing more from a connection that publishes.
    let publish = ask_to_publish(&connection, settings).await;
    connection.close_within(CLOSE_TIMEOUT).await;
    let declare = declare.map(|declare| (Right::Declare, declare));
    let others = [(Right::Consume, consume), (Right::Publish, publish)];
    Ok(Inspection { queues: found, rights: declare.into_iter().chain(others).collect() })
}

/// Returns the result for each queue. If the worker declares its queues, also returns whether it may. Where it declares
/// only missing ones, the right counts for these.
async fn inspect_queues(
    connection: &Connection,
    queues: &Queues,
    declare: Declare,
) -> (Vec<(String, QueueCheck)>, Option<RightCheck>) {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    let mut needs_right = declare == Declare::All;
    for (queue, arguments) in queues.all() {
        // A passive declare ignores arguments. A real one compares them and changes nothing if the queue exists, so
        // it is sent only then.
        let asked = match topology::occupancy(connection, &queue, ANSWER_LIMIT).await {
            Ok(Occupancy { ready, .. }) if declare.makes_missing() => {
                let compared = topology::compare(connection, &queue, arguments).await;
                let unlike = compared.as_ref().err().and_then(TopologyError::unlike);
                match unlike.filter(|_| declare == Declare::Missing) {
                    Some(unlike) => (QueueCheck::Unlike(ready, unlike), Ok(())),
                    None => (QueueCheck::Fits(ready), compared),
                }
            }
            Ok(Occupancy { ready, .. }) => (QueueCheck::Fits(ready), Ok(())),
            Err(TopologyError::Missing { .. }) if declare.makes_missing() => {
                needs_right = true;
                let asked = rights::may_declare(connection, &queue, arguments).await;
                (QueueCheck::Missing, asked)
            }
            Err(TopologyError::Missing { .. }) => (QueueCheck::Missing, Ok(())),
            Err(error) => (QueueCheck::Faulty(error.to_string()), Err(error)),
        };
        let seen = match asked {
            (seen, Ok(())) => seen,
            (seen, Err(TopologyError::Refused { fault, .. })) => {
                refused.push(fault);
                seen
            }
            (_, Err(error)) => QueueCheck::Faulty(error.to_string()),
        };
        found.push((queue.to_string(), seen));
    }
    let right = if refused.is_empty() { RightCheck::Granted } else { RightCheck::Refused(refused) };
    (found, needs_right.then_some(right))
}

async fn ask_to_consume(connection: &Connection, queues: &Queues) -> RightCheck {
    let mut refused = Vec::new();
    for lane in Lane::ALL {
        match rights::may_consume(connection, queues.lane(lane)).await {
            Ok(()) => {}
            Err(TopologyError::Refused { fault, .. }) => refused.push(fault),
            Err(error) => return RightCheck::Unknown(error.to_string()),
        }
    }
    if refused.is_empty() { RightCheck::Granted } else { RightCheck::Refused(refused) }
}

/// Publishes an empty message to a queue that does not exist. It comes back, and nothing is stored.
async fn ask_to_publish(connection: &Connection, settings: &BrokerSettings) -> RightCheck {
    let nowhere = short(&format!("{}.check.{:016x}", settings.queue, fastrand::u64(..)));
    let limit = settings.confirm_timeout.min(ANSWER_LIMIT).max(Duration::from_secs(1));
    match connection.answer(limit, publish(connection, nowhere)).await {
        Ok(Ok(Confirmation::Ack(Some(_)))) => RightCheck::Granted,
        Ok(Ok(_)) => RightCheck::Unknown("a message to no queue did not come back".to_owned()),
        Ok(Err(error)) => {
            let words = CloseCause::of(&error).to_string();
            if words.contains("ACCESS_REFUSED") {
                RightCheck::Refused(vec![words])
            } else {
                RightCheck::Unknown(words)
            }
        }
        Err(_) if connection.state() == ConnectionState::Blocked => RightCheck::Unknown(format!(
            "{BLOCKED}: an alarm is on; `rabbitmq-diagnostics alarms` names it"
        )),
        Err(silent) => RightCheck::Unknown(silent.to_string()),
    }
}

async fn publish(connection: &Connection, nowhere: ShortString) -> lapin::Result<Confirmation> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    // It expires at once, should there ever be a queue.
    let properties = BasicProperties::default().with_expiration("0".into());
    channel.basic_publish(ShortString::default(), nowhere, options, &[], properties).await?.await
}
