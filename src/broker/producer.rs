//! Jobs on their way into a lane: what `revoker enqueue` publishes.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use lapin::{Channel, types::ShortString};
use tokio::time::sleep;

use super::{
    batch::{self, CutShort, Fate, Outgoing, Wait, Watch},
    connect::{Connector, Purpose, Unreachable},
    connection::Connection,
    destination::open,
    headers, link,
    outbox::Outbox,
    patience::Patience,
    pending::{Entry, Limits, Next, Pending, Scope},
    queues::Queues,
    settings::Settings,
    topology::{self, TopologyError},
};
use crate::{
    domain::{Backoff, Lane, Schedule},
    ports::Unpublishable,
};

/// AMQP's reply code for an orderly close.
const REPLY_SUCCESS: u16 = 200;

/// A broker that hangs is not waited for for longer: what was confirmed stands without a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What goes out before its confirms are awaited: mostly all that a caller brings, for jobs are small.
const BATCH: Limits = Limits { messages: usize::MAX, bytes: 16 * 1024 * 1024 };

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
    patience: Patience,
    backoff: Backoff,
    outbox: Outbox,
}

/// The jobs of one call.
struct Sending<J> {
    pending: Pending<J>,
    /// How many are confirmed so far.
    confirmed: u64,
    refused: Vec<(J, Unpublishable)>,
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
            link: None,
            patience: Patience::new(settings.confirm_timeout),
            backoff: RETRY.start(),
            outbox: Outbox::default(),
            settings,
        }
    }

    /// Connects and declares the queues, or checks that they are there.
    ///
    /// # Errors
    ///
    /// The broker that cannot be reached, or the queue that is not as it must be.
    pub async fn prepare(&mut self) -> Result<(), PrepareError> {
        let connection = self.connector.connect(Purpose::Publish).await?;
        topology::ensure_for_publishing(&connection, &self.queues, self.settings.declare).await?;
        let channel = open(&connection, &self.settings)
            .await
            .map_err(|fault| Unreachable { host: "the broker".to_owned(), fault })?;
        self.link = Some((connection, channel));
        Ok(())
    }

    /// Publishes jobs; returns when the lane has confirmed all of them, however often it takes, or when
    /// `given_up` does. In `jobs` stay those that are not confirmed: none, unless it was given up. A
    /// job whose confirm was lost is published twice. Returns the jobs that the broker refuses while it
    /// takes others.
    pub async fn publish<J: AsRef<[u8]>>(
        &mut self,
        lane: Lane,
        jobs: &mut Vec<J>,
        given_up: impl Future<Output = ()>,
    ) -> Vec<(J, Unpublishable)> {
        let mut pending = Pending::new(BATCH);
        for job in mem::take(jobs) {
            let size = job.as_ref().len();
            pending.push(job, size);
        }
        let mut sending = Sending { pending, confirmed: 0, refused: Vec::new() };
        let queue = self.queues.lane(lane).clone();
        // Not by dropping the work: what was confirmed until then would be forgotten.
        let given_up = given_up.shared();
        while !sending.pending.is_empty() && given_up.peek().is_none() {
            match self.attempt(&queue, &mut sending, given_up.clone()).await {
                Next::Continue => {
                    self.backoff.reset();
                    self.outbox.cleared(queue.as_str());
                }
                Next::Reopen(why) => {
                    self.outbox.failed(queue.as_str(), why, sending.pending.len());
                    self.hang_up().await;
                }
                Next::Wait(why) => {
                    self.outbox.failed(queue.as_str(), why, sending.pending.len());
                    self.hang_up().await;
                    tokio::select! {
                        biased;
                        () = given_up.clone() => {}
                        () = sleep(self.backoff.next(fastrand::f64())) => {}
                    }
                }
            }
        }
        *jobs = sending.pending.into_messages();
        sending.refused
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        self.hang_up().await;
    }

    /// Publishes once what goes next.
    async fn attempt<J: AsRef<[u8]>>(
        &mut self,
        queue: &ShortString,
        sending: &mut Sending<J>,
        given_up: impl Future<Output = ()> + Clone,
    ) -> Next {
        let linked = tokio::select! {
            biased;
            linked = connected(&mut self.link, &mut self.connector, &self.settings) => linked,
            () = given_up.clone() => return Next::Wait(CutShort::GivenUp.to_string()),
        };
        let (connection, channel) = match linked {
            Ok(link) => link,
            Err(why) => return Next::Wait(why),
        };
        let batch = sending.pending.next(sending.confirmed);
        let properties = headers::of_job(SystemTime::now());
        let jobs = batch.iter().map(|Entry { message, .. }| Outgoing {
            queue,
            body: message.as_ref(),
            properties: properties.clone(),
        });
        let told = Told { outbox: &self.outbox, queue: queue.as_str(), jobs: batch.len() };
        let link = (connection, channel);
        let published = batch::publish(link, jobs, &self.patience, &told, given_up).await;
        self.patience.note(&published);
        if published.fates.contains(&Fate::Returned) && self.settings.declare {
            // The queue was deleted. If it can't be declared, the next try is returned again.
            let _ = topology::ensure(connection, &self.queues, true).await;
        }
        let applied = sending.pending.apply(batch, published, Scope::Apart, sending.confirmed);
        sending.confirmed += applied.confirmed.len() as u64;
        sending.refused.extend(applied.unpublishable);
        applied.next
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

/// The link that is there, or a new one.
async fn connected<'a>(
    link: &'a mut Option<(Connection, Channel)>,
    connector: &mut Connector,
    settings: &Settings,
) -> Result<&'a (Connection, Channel), String> {
    match link {
        Some(link) => Ok(link),
        gone => {
            let connecting = connector.connect(Purpose::Publish).await;
            let connection = connecting.map_err(|unreachable| unreachable.to_string())?;
            let channel = open(&connection, settings).await?;
            Ok(gone.insert((connection, channel)))
        }
    }
}

/// Tells the log how a batch waits.
struct Told<'a> {
    outbox: &'a Outbox,
    queue: &'a str,
    jobs: usize,
}

impl Watch for Told<'_> {
    fn waits(&self, how: Wait) {
        let why = match how {
            Wait::InTime => return,
            Wait::Blocked => "the broker blocks publishing".to_owned(),
            Wait::Late => CutShort::Silent.to_string(),
        };
        self.outbox.failed(self.queue, why, self.jobs);
    }
}
