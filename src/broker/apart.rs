//! A publishing connection for one message at a time: one that may be the cause where the broker failed, and
//! closed the connection that all queues share.
//!
//! Over the shared connection nobody could tell which queue's message was the cause. Alone on its own, a message
//! is the only one there, and if it breaks that connection, it takes nothing with it. To have the other queues
//! wait meanwhile would let one that does not confirm hold up all of them.

use std::sync::Arc;

use lapin::Channel;

use super::{
    connect::{Connector, Purpose},
    connection::Connection,
    destination::open,
    settings::Settings,
};

/// A connection and a channel on it.
pub type Link = (Arc<Connection>, Channel);

/// The connection apart, made when it is needed.
#[derive(Debug)]
pub struct Apart {
    connector: Connector,
    settings: Arc<Settings>,
    link: Option<Link>,
}

impl Apart {
    /// One that is not connected yet.
    pub fn new(settings: &Arc<Settings>) -> Self {
        let connector = Connector::new(Arc::clone(settings));
        Self { connector, settings: Arc::clone(settings), link: None }
    }

    /// Takes the link that is there, or a new one.
    ///
    /// # Errors
    ///
    /// What the broker or the network said.
    pub async fn take(&mut self) -> Result<Link, String> {
        if let Some((connection, channel)) = self.link.take()
            && channel.status().connected()
        {
            return Ok((connection, channel));
        }
        let connecting = Box::pin(self.connector.connect(Purpose::Publish)).await;
        let connection = connecting.map_err(|unreachable| unreachable.to_string())?;
        let channel = open(&connection, &self.settings).await?;
        Ok((Arc::new(connection), channel))
    }

    /// Keeps a link for the next message.
    pub fn keep(&mut self, link: Link) {
        self.link = Some(link);
    }

    /// Ends the connection, if there is one. Dropped, it says goodbye by itself.
    pub fn end(&mut self) {
        self.link = None;
    }
}
