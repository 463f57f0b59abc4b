//! Publishing dead letters and parked jobs: on a connection of their own, confirmed, again and again until
//! it succeeds. A failure leaves the letter where it is: it is published again, the endpoint is not called
//! again.
//!
//! Each queue has a channel of its own, and one owner of it: two owners could swap confirms, and on a
//! channel for many queues one that does not confirm, or a letter that breaks the channel, would hold up
//! the letters for all of them.

use std::{
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, future::join_all};
use lapin::Event;
use tokio::{
    sync::watch,
    time::{Instant, interval, sleep},
};

use super::{
    cause::GONE,
    channel_failure::ChannelFailure,
    connect::{Connector, Purpose},
    connection::Connection,
    destination::{Destination, PublishContext, RETRY, SharedConnection},
    publish_health::PublishHealth,
    publisher::Publisher,
    queues::Queues,
    settings::BrokerSettings,
};
use crate::metrics::Metrics;

/// A connection that lived for so long was no failed try.
const STABLE: Duration = Duration::from_secs(10);

/// How often a connection is looked at: its end may come without an event.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The task that publishes. It ends when every [`Publisher`] handle is gone and the last letter is
/// confirmed, refused or given up.
#[derive(Debug)]
pub struct Publishing {
    connector: Connector,
    shared: Arc<PublishContext>,
    destinations: Vec<Destination>,
    shared_connection: watch::Sender<SharedConnection>,
}

impl Publishing {
    /// The task and the first handle of it.
    #[must_use]
    pub fn new(
        settings: Arc<BrokerSettings>,
        queues: Arc<Queues>,
        metrics: Arc<Metrics>,
        health: Arc<PublishHealth>,
    ) -> (Self, Publisher) {
        let (publisher, by_queue, others) = Publisher::routed(queues.all_retry());
        let (shared_connection, _) =
            watch::channel(SharedConnection::Down("connecting to the broker".to_owned()));
        let connector = Connector::new(Arc::clone(&settings));
        let confirmed = AtomicU64::new(0);
        let shared = Arc::new(PublishContext { settings, queues, metrics, health, confirmed });
        let names = shared.queues.all_retry().chain([shared.queues.dead()]);
        let destinations = names
            .zip(by_queue.into_iter().chain([others]))
            .map(|(name, inbox)| {
                let shared = Arc::clone(&shared);
                Destination::new(name.to_string(), shared, inbox, shared_connection.subscribe())
            })
            .collect();
        (Self { connector, shared, destinations, shared_connection }, publisher)
    }

    /// Publishes until closed.
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

/// Keeps a connection, and tells the destinations which one, or why there is none.
async fn keep_connected(
    mut connector: Connector,
    shared: &PublishContext,
    shared_connection: &watch::Sender<SharedConnection>,
) -> std::convert::Infallible {
    let mut backoff = RETRY.start();
    loop {
        let why = match connector.connect(Purpose::Publish).await {
            Err(unreachable) => unreachable.to_string(),
            Ok(connection) => {
                let (connection, began) = (Arc::new(connection), Instant::now());
                let events = connection.events_listener();
                shared_connection.send_replace(SharedConnection::Up(Arc::clone(&connection)));
                let why = until_ended(&connection, events, &shared.metrics).await;
                shared.metrics.broker_blocked(false);
                shared_connection.send_replace(SharedConnection::Down(why.clone()));
                connection.close_within(shared.settings.connect_timeout).await;
                // One that ends at once would be made again without a pause, for ever.
                if began.elapsed() >= STABLE {
                    backoff.reset();
                }
                why
            }
        };
        // Told after each try, so that each destination notes what waits by now.
        shared_connection.send_replace(SharedConnection::Down(why));
        sleep(backoff.next(fastrand::f64())).await;
    }
}

/// Waits until a connection ends, and says why it did.
async fn until_ended(
    connection: &Connection,
    events: impl Stream<Item = Event>,
    metrics: &Metrics,
) -> String {
    let mut events = pin!(events);
    let mut look = interval(LOOK_EVERY);
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            _ = look.tick() => None,
        };
        match event {
            // Of a channel as well: its destination opens another, and the connection goes on.
            Some(Event::Error(error)) if !connection.status().connected() => {
                return ChannelFailure::of(&error).why;
            }
            Some(Event::ConnectionBlocked(_)) => metrics.broker_blocked(true),
            Some(Event::ConnectionUnblocked) => metrics.broker_blocked(false),
            Some(_) => {}
            None if connection.status().connected() => {}
            None => return GONE.to_owned(),
        }
    }
}
