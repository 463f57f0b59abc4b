//! Jobs on their way into a lane: what `revoker enqueue` publishes.

use std::{sync::Arc, time::SystemTime};

use super::{
    connect::{Connector, Purpose, Unreachable},
    headers,
    outbox::Outbox,
    publisher::{Closed, Letter, Publisher, Publishing},
    queues::Queues,
    settings::Settings,
    topology::{self, TopologyError},
};
use crate::{domain::Lane, metrics::Metrics};

/// Why no job can be published.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No broker could be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A queue is not as it must be.
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// Publishes jobs as a producer should: persistent, mandatory, confirmed.
#[derive(Debug, Clone)]
pub struct Producer {
    queues: Arc<Queues>,
    publisher: Publisher,
}

impl Producer {
    /// A producer, and the task that publishes for it. The task ends when all clones are dropped.
    #[must_use]
    pub fn new(settings: &Arc<Settings>, metrics: Arc<Metrics>) -> (Self, Publishing) {
        let queues = Arc::new(Queues::new(&settings.queue, &settings.park));
        let (publishing, publisher) = Publishing::new(
            Arc::clone(settings),
            Arc::clone(&queues),
            metrics,
            Arc::new(Outbox::default()),
        );
        (Self { queues, publisher }, publishing)
    }

    /// Declares the queues, or checks that they are there.
    ///
    /// # Errors
    ///
    /// The broker that cannot be reached, or the queue that is not as it must be.
    pub async fn prepare(&self, settings: &Arc<Settings>) -> Result<(), PrepareError> {
        let mut connector = Connector::new(Arc::clone(settings));
        let connection = connector.connect(Purpose::Publish).await?;
        let ensured = topology::ensure(&connection, &self.queues, settings.declare).await;
        // What was asked for is done; how the goodbye goes does not matter.
        let _ = connection.close(200, "bye".into()).await;
        Ok(ensured?)
    }

    /// Publishes one job; returns when its lane has confirmed it, however often it takes.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the publishing task ended first.
    pub async fn publish(&self, lane: Lane, body: Vec<u8>) -> Result<(), Closed> {
        let properties = headers::of_job(SystemTime::now());
        let queue = self.queues.lane(lane).clone();
        self.publisher.publish(Letter { target: None, queue, body, properties }).await
    }
}
