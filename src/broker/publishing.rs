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
    broken::Broken,
    cause::GONE,
    connect::{Connector, Purpose},
    connection::Connection,
    destination::{Destination, Line, RETRY, Shared},
    outbox::Outbox,
    publisher::Publisher,
    queues::Queues,
    settings::Settings,
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
    shared: Arc<Shared>,
    destinations: Vec<Destination>,
    line: watch::Sender<Line>,
}

impl Publishing {
    /// The task and the first handle of it.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        queues: Arc<Queues>,
        metrics: Arc<Metrics>,
        outbox: Arc<Outbox>,
    ) -> (Self, Publisher) {
        let (publisher, by_queue, others) = Publisher::routed(queues.all_retry());
        let (line, _) = watch::channel(Line::Down("connecting to the broker".to_owned()));
        let connector = Connector::new(Arc::clone(&settings));
        let confirmed = AtomicU64::new(0);
        let shared = Arc::new(Shared { settings, queues, metrics, outbox, confirmed });
        let names = shared.queues.all_retry().chain([shared.queues.dead()]);
        let destinations = names
            .zip(by_queue.into_iter().chain([others]))
            .map(|(name, inbox)| {
                let shared = Arc::clone(&shared);
                Destination::new(name.to_string(), shared, inbox, line.subscribe())
            })
            .collect();
        (Self { connector, shared, destinations, line }, publisher)
    }

    /// Publishes until closed.
    pub async fn run(self) {
        let Self { connector, shared, destinations, line } = self;
        let publishing = join_all(destinations.into_iter().map(Destination::run));
        tokio::select! {
            _ = publishing => {}
            never = keep_connected(connector, &shared, &line) => match never {},
        }
        let last = line.borrow().clone();
        if let Line::Up(connection) = last {
            connection.close_within(shared.settings.connect_timeout).await;
        }
    }
}

/// Keeps a connection, and tells the destinations which one, or why there is none.
async fn keep_connected(
    mut connector: Connector,
    shared: &Shared,
    line: &watch::Sender<Line>,
) -> std::convert::Infallible {
    let mut backoff = RETRY.start();
    loop {
        let why = match connector.connect(Purpose::Publish).await {
            Err(unreachable) => unreachable.to_string(),
            Ok(connection) => {
                let (connection, began) = (Arc::new(connection), Instant::now());
                let events = connection.events_listener();
                line.send_replace(Line::Up(Arc::clone(&connection)));
                let why = until_ended(&connection, events, &shared.metrics).await;
                shared.metrics.broker_blocked(false);
                line.send_replace(Line::Down(why.clone()));
                connection.close_within(shared.settings.connect_timeout).await;
                // One that ends at once would be made again without a pause, for ever.
                if began.elapsed() >= STABLE {
                    backoff.reset();
                }
                why
            }
        };
        // Told after each try, so that each destination notes what waits by now.
        line.send_replace(Line::Down(why));
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
                return Broken::of(&error).why;
            }
            Some(Event::ConnectionBlocked(_)) => metrics.broker_blocked(true),
            Some(Event::ConnectionUnblocked) => metrics.broker_blocked(false),
            Some(_) => {}
            None if connection.status().connected() => {}
            None => return GONE.to_owned(),
        }
    }
}
