//! Dead letters on their way back into a lane.

use std::{sync::Arc, time::Duration};

use lapin::{Channel, options::ConfirmSelectOptions};
use thiserror::Error;
use tokio::time::timeout;

use super::{
    look::Held,
    queue::{Unanswered, asked},
};
use crate::{
    broker::{
        batch::{self, Fate},
        connect::{Connector, Purpose, Unreachable},
        connection::Connection,
        headers,
        publisher::Letter,
        queues::Queues,
        settings::Settings,
        topology::{self, TopologyError},
    },
    domain::Lane,
};

/// The broker may block publishing for so long before it is given up: the letters are held meanwhile,
/// and `consumer_timeout` (30 minutes by default) must not strike.
const BLOCKED_LIMIT: Duration = Duration::from_secs(300);

/// The goodbye may take this long; everything that matters was confirmed.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why letters could not be published.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// No broker could be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A queue is not as it must be.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// No channel could be opened.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Nothing is known of the last batch: it may stand in its lane, or not.
    #[error("up to {letters} letters may have gone back twice: {why}")]
    Unconfirmed {
        /// The size of the batch.
        letters: usize,
        /// What went wrong.
        why: String,
    },
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// For each letter, whether its lane has it.
    pub confirmed: Vec<bool>,
    /// Why the others were refused.
    pub refused: Option<String>,
}

/// Publishes dead letters as fresh jobs: persistent, mandatory, confirmed; on a connection of its own,
/// for one that is blocked writes nothing, not even acks.
#[derive(Debug)]
pub struct Replayer {
    connector: Connector,
    settings: Arc<Settings>,
    queues: Queues,
    link: Option<(Connection, Channel)>,
}

impl Replayer {
    /// A replayer that is not connected yet.
    #[must_use]
    pub fn new(settings: &Arc<Settings>) -> Self {
        Self {
            connector: Connector::new(Arc::clone(settings)),
            settings: Arc::clone(settings),
            queues: Queues::new(&settings.queue, &settings.park),
            link: None,
        }
    }

    /// Declares the queues, or checks that they are there.
    ///
    /// # Errors
    ///
    /// The broker that cannot be reached, or the queue that is not as it must be.
    pub async fn prepare(&mut self) -> Result<(), ReplayError> {
        let (connection, channel) = self.connected().await?;
        topology::ensure(&connection, &self.queues, self.settings.declare).await?;
        self.link = Some((connection, channel));
        Ok(())
    }

    /// The message that takes a letter back into `lane`.
    #[must_use]
    pub fn letter(&self, held: Held, lane: Lane) -> Letter {
        let (body, original) = held.into_parts();
        let properties = headers::of_replayed(&original);
        Letter { target: None, queue: self.queues.lane(lane).clone(), body, properties }
    }

    /// Publishes a batch and awaits all of its confirms.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; the next batch goes over a new connection.
    pub async fn publish(&mut self, letters: &[Letter]) -> Result<Published, ReplayError> {
        let (connection, channel) = self.connected().await?;
        let limit = self.settings.confirm_timeout;
        let publishing = batch::publish(&connection, &channel, letters.iter(), limit, |_| {});
        let unconfirmed = |why| ReplayError::Unconfirmed { letters: letters.len(), why };
        let fates = timeout(BLOCKED_LIMIT, publishing)
            .await
            .map_err(|_| unconfirmed("the broker blocks publishing".to_owned()))?
            .map_err(|error| unconfirmed(error.to_string()))?;
        let mut refused = None;
        for (letter, fate) in letters.iter().zip(&fates) {
            let why = match fate {
                Fate::Confirmed => continue,
                Fate::Nacked => "refuses messages",
                Fate::Returned => "does not exist",
            };
            refused = Some(format!("queue {} {why}", letter.queue));
        }
        if refused.is_none() {
            // A full quorum queue marks the channels that it refuses: one that was refused is not kept.
            self.link = Some((connection, channel));
        }
        let confirmed = fates.iter().map(|fate| *fate == Fate::Confirmed).collect();
        Ok(Published { confirmed, refused })
    }

    /// Ends the connection.
    pub async fn disconnect(&mut self) {
        if let Some((connection, _)) = self.link.take() {
            let _ = timeout(GOODBYE, connection.close(200, "bye".into())).await;
        }
    }

    /// The link, taken out: whoever does not put it back has found it broken.
    async fn connected(&mut self) -> Result<(Connection, Channel), ReplayError> {
        if let Some((connection, channel)) = self.link.take()
            && connection.status().connected()
            && channel.status().connected()
        {
            return Ok((connection, channel));
        }
        let connection = self.connector.connect(Purpose::Publish).await?;
        let channel = asked(async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        })
        .await?;
        Ok((connection, channel))
    }
}
