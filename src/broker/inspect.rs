//! Inspects the queues without changing anything, for `revoker check`.

use std::sync::Arc;

use super::{
    connect::{Connector, Purpose},
    queues::Queues,
    settings::BrokerSettings,
    topology::{self, Occupancy, TopologyError},
};

/// The result for one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueCheck {
    /// It is correct, with this many ready messages.
    Fits(u32),
    Missing,
    /// It is wrong, or could not be inspected.
    Faulty(String),
}

/// Inspects every queue of the worker. Fails if the broker cannot be reached.
pub async fn inspect(settings: &Arc<BrokerSettings>) -> Result<Vec<(String, QueueCheck)>, String> {
    let mut connector = Connector::new(Arc::clone(settings));
    let connection = connector.connect(Purpose::Check).await.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for (queue, arguments) in Queues::new(&settings.queue, &settings.park).all() {
        // A passive declare ignores arguments. A real one compares them and changes nothing if the queue exists, so
        // it is sent only then.
        let seen = match topology::occupancy(&connection, &queue, topology::ANSWER_LIMIT).await {
            Ok(Occupancy { ready, .. }) if settings.declare => {
                topology::compare(&connection, &queue, arguments).await.map_or_else(
                    |error| QueueCheck::Faulty(error.to_string()),
                    |()| QueueCheck::Fits(ready),
                )
            }
            Ok(Occupancy { ready, .. }) => QueueCheck::Fits(ready),
            Err(TopologyError::Missing { .. }) => QueueCheck::Missing,
            Err(error) => QueueCheck::Faulty(error.to_string()),
        };
        found.push((queue.to_string(), seen));
    }
    connection.close_within(settings.connect_timeout).await;
    Ok(found)
}
