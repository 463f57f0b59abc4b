//! A look at the broker that changes nothing: what `revoker check` shows.

use std::sync::Arc;

use super::{
    connect::{Connector, Purpose},
    queues::Queues,
    settings::BrokerSettings,
    topology::{self, TopologyError},
};

/// What was found of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueCheck {
    /// It is there, as it must be, with so many messages ready.
    Fits(u32),
    /// It is not there.
    Missing,
    /// It is not as it must be, or could not be looked at.
    Faulty(String),
}

/// DepthProbe at every queue of the family.
///
/// # Errors
///
/// One sentence if the broker cannot be reached.
pub async fn inspect(settings: &Arc<BrokerSettings>) -> Result<Vec<(String, QueueCheck)>, String> {
    let mut connector = Connector::new(Arc::clone(settings));
    let connection = connector.connect(Purpose::Check).await.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for (queue, arguments) in Queues::new(&settings.queue, &settings.park).all() {
        // A passive declare ignores arguments. A real one of a queue that exists changes nothing and
        // compares them, so it is made only where the passive one found the queue.
        let seen = match topology::count(&connection, &queue).await {
            Ok(ready) if settings.declare => {
                topology::compare(&connection, &queue, arguments).await.map_or_else(
                    |error| QueueCheck::Faulty(error.to_string()),
                    |()| QueueCheck::Fits(ready),
                )
            }
            Ok(ready) => QueueCheck::Fits(ready),
            Err(TopologyError::Missing { .. }) => QueueCheck::Missing,
            Err(error) => QueueCheck::Faulty(error.to_string()),
        };
        found.push((queue.to_string(), seen));
    }
    connection.close_within(settings.connect_timeout).await;
    Ok(found)
}
