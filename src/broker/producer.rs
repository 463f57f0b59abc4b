//! Jobs on their way into a lane: what `revoker enqueue` publishes.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lapin::{Channel, options::ConfirmSelectOptions};
use tokio::time::sleep;

use super::{
    batch::Fate,
    bulk::Sent,
    cause::fault,
    connect::{Connector, Purpose, Unreachable},
    connection::Connection,
    headers, link,
    outbox::Outbox,
    queues::Queues,
    settings::Settings,
    topology::{self, TopologyError},
};
use crate::domain::{Backoff, Lane, Schedule};

/// AMQP's reply code for an orderly close.
const REPLY_SUCCESS: u16 = 200;

/// A broker that hangs is not waited for for longer: what was confirmed stands without a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// The waits between tries.
const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(100),
    multiplier: 2.0,
    max: Duration::from_secs(5),
    jitter: 0.5,
};

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

/// Publishes jobs as a producer should: persistent, mandatory, confirmed, again and again until they
/// are.
///
/// Apart from [`Publishing`](super::Publishing), which serves many, who each wait for one letter: this
/// one serves a single caller with thousands of jobs at a time.
pub struct Producer {
    settings: Arc<Settings>,
    queues: Queues,
    connector: Connector,
    link: Option<(Connection, Channel)>,
    sent: Sent,
    backoff: Backoff,
    outbox: Outbox,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer that is not connected yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            queues: Queues::new(&settings.queue, &settings.park),
            connector: Connector::new(Arc::clone(&settings)),
            settings,
            link: None,
            sent: Sent::default(),
            backoff: RETRY.start(),
            outbox: Outbox::default(),
        }
    }

    /// Connects and declares the queues, or checks that they are there.
    ///
    /// # Errors
    ///
    /// The broker that cannot be reached, or the queue that is not as it must be.
    pub async fn prepare(&mut self) -> Result<(), PrepareError> {
        let connection = self.connector.connect(Purpose::Publish).await?;
        topology::ensure(&connection, &self.queues, self.settings.declare).await?;
        let channel = open(&connection, &self.settings)
            .await
            .map_err(|fault| Unreachable { host: "the broker".to_owned(), fault })?;
        self.link = Some((connection, channel));
        Ok(())
    }

    /// Publishes jobs; returns when the lane has confirmed all of them, however often it takes, or when
    /// `given_up` does. In `jobs` stay those that are not confirmed: none, unless it was given up. A
    /// job whose confirm was lost is published twice.
    pub async fn publish<J: AsRef<[u8]>>(
        &mut self,
        lane: Lane,
        jobs: &mut Vec<J>,
        given_up: impl Future<Output = ()>,
    ) {
        let gave_up = tokio::select! {
            () = self.deliver(lane, jobs) => false,
            () = given_up => true,
        };
        if gave_up {
            self.sent.settle(jobs);
        }
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        self.hang_up().await;
    }

    async fn deliver<J: AsRef<[u8]>>(&mut self, lane: Lane, jobs: &mut Vec<J>) {
        while !jobs.is_empty() {
            match self.attempt(lane, jobs).await {
                Ok(()) => {
                    self.backoff.reset();
                    self.outbox.cleared();
                }
                Err(why) => {
                    self.outbox.failed(why, jobs.len());
                    self.hang_up().await;
                    sleep(self.backoff.next(fastrand::f64())).await;
                }
            }
        }
    }

    /// Publishes once what is not published yet.
    async fn attempt<J: AsRef<[u8]>>(
        &mut self,
        lane: Lane,
        jobs: &mut Vec<J>,
    ) -> Result<(), String> {
        let (connection, channel) = match &mut self.link {
            Some(link) => &*link,
            gone => &*gone.insert(connect(&mut self.connector, &self.settings).await?),
        };
        let queue = self.queues.lane(lane);
        let waiting = jobs.len();
        let blocked = |blocked| {
            if blocked {
                self.outbox.failed("the broker blocks publishing".to_owned(), waiting);
            }
        };
        let (limit, properties) =
            (self.settings.confirm_timeout, headers::of_job(SystemTime::now()));
        let sent =
            self.sent.publish((connection, channel), queue, jobs, &properties, limit, blocked);
        let result = sent.await;
        let worst = self.sent.settle(jobs);
        result.map_err(|unconfirmed| unconfirmed.to_string())?;
        match worst {
            Fate::Confirmed => Ok(()),
            Fate::Nacked => Err(format!("queue {queue} refuses messages")),
            Fate::Returned => {
                if self.settings.declare {
                    // The queue was deleted. If it can't be declared, the next try is returned again.
                    let _ = topology::ensure(connection, &self.queues, true).await;
                }
                Err(format!("queue {queue} does not exist"))
            }
        }
    }

    /// Ends the connection. It is not used again once anything failed on it: a full quorum queue marks
    /// the channels that it refuses for good.
    async fn hang_up(&mut self) {
        if let Some((connection, _)) = self.link.take() {
            let closing = connection.close(REPLY_SUCCESS, "bye".into());
            let _ = link::answer(connection.status(), GOODBYE, closing).await;
        }
    }
}

async fn connect(
    connector: &mut Connector,
    settings: &Settings,
) -> Result<(Connection, Channel), String> {
    let connecting = connector.connect(Purpose::Publish).await;
    let connection = connecting.map_err(|unreachable| unreachable.to_string())?;
    let channel = open(&connection, settings).await?;
    Ok((connection, channel))
}

async fn open(connection: &Connection, settings: &Settings) -> Result<Channel, String> {
    let opened = async {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    };
    let opened = link::answer(connection.status(), settings.connect_timeout, opened).await;
    opened.map_err(|silence| silence.to_string())?.map_err(|error: lapin::Error| fault(&error))
}
