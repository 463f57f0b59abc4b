//! Publishes dead letters and parked jobs on a connection of its own. It retries until each is confirmed or refused.
//! A failed publish never repeats the call to the endpoint.
//!
//! Each queue has a channel with one owner. Two owners could swap confirms. On a channel for several queues, one queue
//! without confirms would delay the others. So would one message that breaks the channel.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, future::join_all};
use lapin::Event;
use tokio::{
    sync::watch,
    time::{Instant, interval, sleep},
};
use tracing::{info, warn};

use super::{
    advice::advised,
    channel_failure::why_ended,
    connect::{Connector, Purpose},
    connection::Connection,
    destination::{BATCH, Destination, PublishContext, RETRY, SharedConnection},
    pending::Pending,
    publish_health::PublishHealth,
    publisher::Publisher,
    queues::Queues,
    settings::BrokerSettings,
};
use crate::metrics::Metrics;

/// A connection that lasted this long resets the backoff.
const STABLE: Duration = Duration::from_secs(10);

/// The interval of checking the connection: it may end without an event.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The publishing task. It ends when every [`Publisher`] is dropped and every message is confirmed, refused or given
/// up.
pub struct Publishing {
    connector: Connector,
    shared: Arc<PublishContext>,
    destinations: Vec<Destination>,
    shared_connection: watch::Sender<SharedConnection>,
}

impl Publishing {
    /// Returns the task and its first handle.
    pub fn new(
        settings: Arc<BrokerSettings>,
        queues: Arc<Queues>,
        metrics: Arc<Metrics>,
        health: Arc<PublishHealth>,
    ) -> (Self, Publisher) {
        let routed = || queues.all_retry().chain(queues.outcomes());
        let (publisher, by_queue, others) = Publisher::routed(routed());
        let (shared_connection, _) =
            watch::channel(SharedConnection::Down("connecting to the broker".to_owned()));
        let connector = Connector::new(Arc::clone(&settings));
        let names: Vec<_> = routed().chain([queues.dead()]).map(ToString::to_string).collect();
        let shared = Arc::new(PublishContext { settings, queues, metrics, health });
        let confirmed = Arc::default();
        let destinations = names
            .into_iter()
            .zip(by_queue.into_iter().chain([others]))
            .map(|(name, inbox)| {
                let shared = Arc::clone(&shared);
                let pending = Pending::new(BATCH, Arc::clone(&confirmed));
                let connection = shared_connection.subscribe();
                Destination::new(name, shared, inbox, connection, pending)
            })
            .collect();
        (Self { connector, shared, destinations, shared_connection }, publisher)
    }

    pub async fn run(self) {
        let Self { connector, shared, destinations, shared_connection } = self;
        let publishing = join_all(destinations.into_iter().map(Destination::run));
        tokio::select! {
            _ = publishing => {}
            never = keep_connected(connector, &shared, &shared_connection) => match never {},
        }
        let last = shared_connection.borrow().clone();
        if let SharedConnection::Up(connection) = last {
            connection.close_within(shared.settings.connect_timeout).await;
        }
    }
}

/// Keeps a connection open, and sends its state to the destinations.
async fn keep_connected(
    mut connector: Connector,
    shared: &PublishContext,
    shared_connection: &watch::Sender<SharedConnection>,
) -> std::convert::Infallible {
    let mut backoff = RETRY.start();
    let (mut told, mut is_refused) = (None, false);
    loop {
        let why = match connector.connect(Purpose::Publish).await {
            Err(unreachable) => {
                is_refused = true;
                unreachable.to_string()
            }
            Ok(connection) => {
                let (connection, began) = (Arc::new(connection), Instant::now());
                let events = connection.events_listener();
                // A connection that breaks again and again is told once.
                if std::mem::take(&mut is_refused) {
                    info!("connected for publishing");
                }
                shared_connection.send_replace(SharedConnection::Up(Arc::clone(&connection)));
                let why = until_ended(&connection, events, &shared.metrics).await;
                shared.metrics.broker_blocked(false);
                shared_connection.send_replace(SharedConnection::Down(advised(why.clone())));
                connection.close_within(shared.settings.connect_timeout).await;
                // A connection that ends at once would otherwise be made again without a delay, forever.
                if began.elapsed() >= STABLE {
                    backoff.reset();
                    told = None;
                }
                why
            }
        };
        let why = advised(why);
        if told.as_ref() != Some(&why) {
            warn!(cause = why, "not connected for publishing");
            told = Some(why.clone());
        }
        // Sent after each try, so that each destination reports its waiting messages.
        shared_connection.send_replace(SharedConnection::Down(why));
        sleep(backoff.next(crate::ports::jitter())).await;
    }
}

/// Waits until a connection ends, and returns the reason.
async fn until_ended(
    connection: &Connection,
    events: impl Stream<Item = Event>,
    metrics: &Metrics,
) -> String {
    let mut events = pin!(events);
    let mut check = interval(CHECK_EVERY);
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            _ = check.tick() => None,
        };
        match event {
            // A channel may have failed: its destination opens another, and the connection stays open.
            Some(Event::Error(_)) if !connection.status().connected() => {
                return why_ended(connection, None);
            }
            Some(Event::ConnectionBlocked(_)) => metrics.broker_blocked(true),
            Some(Event::ConnectionUnblocked) => metrics.broker_blocked(false),
            Some(_) => {}
            None if connection.status().connected() => {}
            None => return why_ended(connection, None),
        }
    }
}
