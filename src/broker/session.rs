//! One life of the consuming connection. Delivery tags mean nothing outside theirs.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    connection::Connection,
    delivery::{AmqpDelivery, Exits},
    depths,
    lane::{LaneChannel, ended_by},
    link,
    settings::Settings,
};
use crate::{
    domain::{Lane, PerLane},
    metrics::{EndedBy, Metrics},
};

/// After the broker has read the last ack the connection stays open for this long: RabbitMQ 3.10 drops the
/// last acks to a quorum queue when the connection closes right behind them.
pub const LINGER: Duration = Duration::from_millis(100);

/// How often empty queues are asked for the one job that is wanted.
const FETCH_EVERY: Duration = Duration::from_millis(500);

/// The broker answers a command within this time, or the connection counts as lost.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// How many jobs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// As many as the prefetch allows.
    All,
    /// None for now: the consumers are cancelled, the backlog stays in its queues.
    None,
    /// One; then none. The first is looked for in the interactive lane first; the lanes take turns
    /// until all are wanted again.
    One,
    /// None any more.
    Never,
}

/// What the session is asked to do.
#[derive(Debug, Clone)]
pub struct Commands {
    /// How many jobs are wanted.
    pub wanted: watch::Receiver<Wanted>,
    /// Cancelled by the session once nothing is delivered any more.
    pub stopped: CancellationToken,
    /// Everything in hand is settled: tell the broker and close.
    pub close: CancellationToken,
}

impl Commands {
    /// Waits until no job is wanted any more.
    pub async fn unwanted(&mut self) {
        // The sender lives as long as the worker; if it is gone nothing is wanted any more.
        let _ = self.wanted.wait_for(|wanted| *wanted == Wanted::Never).await;
    }

    /// How many jobs are wanted now.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        *self.wanted.borrow()
    }
}

/// A session that consumes.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    prefetch: u16,
    exits: Arc<Exits>,
    metrics: Arc<Metrics>,
    lanes: PerLane<Arc<LaneChannel>>,
    tasks: JoinSet<Part>,
}

/// A task of the session that ended.
enum Part {
    /// A lane delivers nothing more.
    Pump(EndedBy),
    /// A lane can settle nothing more.
    Acker(EndedBy),
}

impl Session {
    /// Opens both lanes on a connection whose queues are there; nothing is consumed yet.
    ///
    /// # Errors
    ///
    /// The broker's, or the connection's.
    pub async fn open(
        connection: Connection,
        settings: &Settings,
        exits: &Arc<Exits>,
        metrics: &Arc<Metrics>,
    ) -> lapin::Result<Self> {
        let open = |lane| LaneChannel::open(&connection, lane);
        let lanes = PerLane {
            interactive: Arc::new(open(Lane::Interactive).await?),
            bulk: Arc::new(open(Lane::Bulk).await?),
        };
        Ok(Self {
            connection,
            prefetch: settings.prefetch,
            exits: Arc::clone(exits),
            metrics: Arc::clone(metrics),
            lanes,
            tasks: JoinSet::new(),
        })
    }

    /// Passes deliveries to `intake` and settlements to the broker, until something ends it. The
    /// intake is given up once no job is wanted any more, so that its receiver ends.
    pub async fn run(
        mut self,
        intake: mpsc::Sender<AmqpDelivery>,
        mut commands: Commands,
    ) -> EndedBy {
        for lane in Lane::ALL {
            let channel = Arc::clone(self.lanes.get(lane));
            let closing = commands.close.clone();
            self.tasks.spawn(async move { Part::Acker(channel.acker(closing).await) });
        }
        let ended = match self.watch(intake, &mut commands).await {
            // An ack that is the first to find the connection gone is told that its channel is closed.
            EndedBy::ChannelClosed if !self.connection.status().connected() => {
                EndedBy::ConnectionLost
            }
            ended => ended,
        };
        for lane in Lane::ALL {
            self.lanes.get(lane).lose();
        }
        self.close(ended).await;
        ended
    }

    async fn watch(
        &mut self,
        intake: mpsc::Sender<AmqpDelivery>,
        commands: &mut Commands,
    ) -> EndedBy {
        let (exits, metrics) = (Arc::clone(&self.exits), Arc::clone(&self.metrics));
        // A connection that is lost ends the acker of each lane: sampling need not say so.
        let sampling = depths::sample(&self.connection, &exits.queues, &self.lanes, &metrics);
        tokio::pin!(sampling);
        let mut intake = Some(intake);
        let mut fetch = interval(FETCH_EVERY);
        fetch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut consuming = false;
        let mut pumps = 0;
        let mut ackers = Lane::ALL.len();
        let mut first = Lane::Interactive;
        loop {
            let wanted = commands.wanted();
            if let Some(open) = &intake
                && consuming != (wanted == Wanted::All)
                && (consuming || (pumps == 0 && self.has_room()))
            {
                let turned = if consuming {
                    in_time(&self.connection, Self::stop(&self.lanes)).await
                } else {
                    pumps = Lane::ALL.len();
                    first = Lane::Interactive;
                    let (tasks, prefetch) = (&mut self.tasks, self.prefetch);
                    let consume = Self::consume(&self.lanes, tasks, &exits, open, prefetch);
                    in_time(&self.connection, consume).await
                };
                if let Err(ended) = turned {
                    return ended;
                }
                consuming = !consuming;
            }
            if wanted == Wanted::Never && intake.take().is_some() {
                commands.stopped.cancel();
            }
            tokio::select! {
                ended = &mut sampling => return match ended {
                    depths::Ended::Gone => EndedBy::ConnectionLost,
                    depths::Ended::Starving(lane) => {
                        warn!(lane = lane.as_str(), "jobs wait, and the broker delivers none");
                        EndedBy::ConsumerCancelled
                    }
                },
                _ = commands.wanted.changed(), if wanted != Wanted::Never => {}
                _ = fetch.tick(), if !consuming => {
                    // Else it is time to look again whether there is room to consume.
                    let Some(open) = intake.as_ref().filter(|_| wanted == Wanted::One && pumps == 0)
                    else {
                        continue;
                    };
                    let fetching = Self::fetch(&self.lanes, &exits, open, first);
                    let fetched = link::answer_read(&self.connection, COMMAND_LIMIT, fetching).await;
                    match fetched.unwrap_or(Err(EndedBy::ConnectionLost)) {
                        // A job that always fails, alone in its lane, is back from its stay before
                        // the next of these is wanted: it would be the only one ever taken.
                        Ok(Some(lane)) => first = lane.other(),
                        Ok(None) => {}
                        Err(ended) => return ended,
                    }
                }
                Some(part) = self.tasks.join_next() => match part {
                    Ok(Part::Pump(EndedBy::ConsumerCancelled)) if !consuming => pumps -= 1,
                    Ok(Part::Acker(EndedBy::Shutdown)) => {
                        ackers -= 1;
                        if ackers == 0 {
                            return EndedBy::Shutdown;
                        }
                    }
                    Ok(Part::Pump(ended) | Part::Acker(ended)) => return ended,
                    // A panic in one of them: the session is rebuilt, nothing is lost.
                    Err(_) => return EndedBy::ChannelClosed,
                },
            }
        }
    }

    /// Whether a consumer may begin: those told to stop have come to their end, and not so much is
    /// left of what they brought that pause after pause would pile up.
    fn has_room(&self) -> bool {
        let most = usize::from(self.prefetch) / 2;
        Lane::ALL.into_iter().all(|lane| self.lanes.get(lane).in_hand() <= most)
    }

    async fn consume(
        lanes: &PerLane<Arc<LaneChannel>>,
        tasks: &mut JoinSet<Part>,
        exits: &Arc<Exits>,
        intake: &mpsc::Sender<AmqpDelivery>,
        prefetch: u16,
    ) -> lapin::Result<()> {
        let consume = |lane| lanes.get(lane).consume(exits.queues.lane(lane), prefetch);
        // Both or none: jobs of a session that cannot last would be called for nothing.
        let consumers = [
            (Lane::Interactive, consume(Lane::Interactive).await?),
            (Lane::Bulk, consume(Lane::Bulk).await?),
        ];
        for (lane, consumer) in consumers {
            let channel = Arc::clone(lanes.get(lane));
            let (exits, intake) = (Arc::clone(exits), intake.clone());
            tasks.spawn(async move { Part::Pump(channel.pump(consumer, exits, intake).await) });
        }
        Ok(())
    }

    async fn stop(lanes: &PerLane<Arc<LaneChannel>>) -> lapin::Result<()> {
        for lane in Lane::ALL {
            lanes.get(lane).cancel().await?;
        }
        Ok(())
    }

    /// Takes one job, if there is any, and says out of which lane. It stays wanted until whoever wanted
    /// it says otherwise, so the intake must have room: a job that waits there is the one.
    async fn fetch(
        lanes: &PerLane<Arc<LaneChannel>>,
        exits: &Arc<Exits>,
        intake: &mpsc::Sender<AmqpDelivery>,
        first: Lane,
    ) -> Result<Option<Lane>, EndedBy> {
        if intake.capacity() < intake.max_capacity() {
            return Ok(None);
        }
        for lane in [first, first.other()] {
            let channel = lanes.get(lane);
            if let Some(delivery) = channel.fetch(exits.queues.lane(lane), exits).await? {
                // If nobody takes jobs any more, the delivery goes back as it is dropped.
                let _ = intake.send(delivery).await;
                return Ok(Some(lane));
            }
        }
        Ok(None)
    }

    async fn close(&mut self, ended: EndedBy) {
        if ended == EndedBy::Shutdown {
            for lane in Lane::ALL {
                let read = self.lanes.get(lane).until_read(self.prefetch);
                let _ = in_time(&self.connection, read).await;
            }
            sleep(LINGER).await;
        }
        let closing = self.connection.close(200, "bye".into());
        let _ = link::answer(self.connection.status(), LINGER * 10, closing).await;
        self.tasks.shutdown().await;
    }
}

/// Carries out a command of the session's; an error, or silence, ends it.
async fn in_time(
    connection: &Connection,
    command: impl Future<Output = lapin::Result<()>>,
) -> Result<(), EndedBy> {
    match link::answer_read(connection, COMMAND_LIMIT, command).await {
        Ok(done) => done.map_err(|error| ended_by(&error)),
        Err(_) => Err(EndedBy::ConnectionLost),
    }
}
