//! A channel in confirm mode, and a publishing connection with one such channel.

use std::sync::Arc;

use lapin::{Channel, options::ConfirmSelectOptions};

use super::{
    channel_failure::{ChannelFailure, why_ended},
    connect::{Connector, Purpose, Unreachable},
    connection::{CLOSE_TIMEOUT, Connection, REPLY_SUCCESS},
    connection_errors::is_aftermath,
    queues::Queues,
    settings::BrokerSettings,
    topology::{self, PrepareError},
    wait::NoAnswer,
};

/// A channel in confirm mode, and its connection.
#[derive(Debug)]
pub(super) struct ConfirmChannel {
    pub(super) connection: Arc<Connection>,
    pub(super) channel: Channel,
}

impl ConfirmChannel {
    /// Opens a channel. Fails with the error of the broker or the network.
    pub(super) async fn open(
        connection: Arc<Connection>,
        settings: &BrokerSettings,
    ) -> Result<Self, String> {
        let opened = async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        };
        let opened = connection.answer(settings.connect_timeout, opened).await;
        match opened {
            Ok(Ok(channel)) => Ok(Self { connection, channel }),
            Err(NoAnswer::TooLong) => Err(NoAnswer::TooLong.to_string()),
            Err(NoAnswer::Gone) => Err(why_ended(&connection, None)),
            Ok(Err(error)) if is_aftermath(&error) => Err(why_ended(&connection, None)),
            Ok(Err(error)) => Err(ChannelFailure::of(&error).why),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// The largest frame of the connection, in bytes.
    pub(super) fn frame_max(&self) -> u32 {
        self.connection.configuration().frame_max()
    }

    /// Closes a channel that failed or was refused. A full quorum queue keeps refusing such a channel even after the
    /// queue's limit is removed. If the broker does not answer, the connection is closed.
    pub(super) async fn close(self, settings: &BrokerSettings) {
        let Self { connection, channel } = self;
        if !channel.status().connected() {
            return;
        }
        let limit = settings.connect_timeout;
        let closing = channel.close(REPLY_SUCCESS, "refused".into());
        if connection.answer(limit, closing).await.is_err() {
            connection.close_within(limit).await;
        }
    }
}

/// A publishing connection with one channel, made when it is needed.
pub(super) struct DedicatedChannel {
    connector: Connector,
    settings: Arc<BrokerSettings>,
    idle: Option<ConfirmChannel>,
}

impl DedicatedChannel {
    pub(super) fn new(settings: &Arc<BrokerSettings>) -> Self {
        let connector = Connector::new(Arc::clone(settings));
        Self { connector, settings: Arc::clone(settings), idle: None }
    }

    /// Takes the idle channel if it is open, or connects. The caller puts it back unless it failed.
    pub(super) async fn take(&mut self) -> Result<ConfirmChannel, Unreachable> {
        if let Some(channel) = self.idle.take()
            && channel.is_open()
        {
            return Ok(channel);
        }
        let connection = Box::pin(self.connector.connect(Purpose::Publish)).await?;
        ConfirmChannel::open(Arc::new(connection), &self.settings)
            .await
            .map_err(|fault| Unreachable(format!("the broker: {fault}")))
    }

    pub(super) fn put_back(&mut self, channel: ConfirmChannel) {
        self.idle = Some(channel);
    }

    /// Connects, and declares the queues or checks that they exist.
    pub(super) async fn prepare(&mut self, queues: &Queues) -> Result<(), PrepareError> {
        let channel = self.take().await?;
        let declare = self.settings.declare;
        topology::ensure_for_publishing(&channel.connection, queues, declare).await?;
        self.put_back(channel);
        Ok(())
    }

    /// Drops the idle channel. Its connection closes in the background.
    pub(super) fn discard(&mut self) {
        self.idle = None;
    }

    /// Closes the connection of the idle channel, and waits up to [`CLOSE_TIMEOUT`] for it.
    pub(super) async fn close(&mut self) {
        if let Some(channel) = self.idle.take() {
            channel.connection.close_within(CLOSE_TIMEOUT).await;
        }
    }
}
