//! One life of the consuming connection. Delivery tags mean nothing outside theirs.

use std::{sync::Arc, time::Duration};

use lapin::Connection;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{AmqpDelivery, Exits},
    depths,
    lane::{LaneChannel, ended_by},
    settings::Settings,
};
use crate::{
    domain::{Lane, PerLane},
    metrics::{EndedBy, Metrics},
};

/// After the last ack the connection stays open for this long: RabbitMQ 3.10 drops the last acks to a
/// quorum queue when the connection closes right behind them.
const LINGER: Duration = Duration::from_millis(100);

/// What the session is asked to do.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Whether jobs are wanted; `false`: the consumers are cancelled, what came before is kept.
    pub intake: watch::Receiver<bool>,
    /// Cancelled by the session once the consumers are.
    pub stopped: CancellationToken,
    /// Everything in hand is settled: tell the broker and close.
    pub close: CancellationToken,
}

impl Commands {
    /// Waits until no more jobs are wanted.
    pub async fn unwanted(&mut self) {
        // The sender lives as long as the worker; if it is gone nothing is wanted any more.
        let _ = self.intake.wait_for(|wanted| !wanted).await;
    }
}

/// A session that consumes.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
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
    /// Begins to consume both lanes on an open connection whose queues are there.
    ///
    /// # Errors
    ///
    /// The broker's, or the connection's.
    pub async fn open(
        connection: Connection,
        settings: &Settings,
        exits: &Arc<Exits>,
    ) -> lapin::Result<Self> {
        let open =
            |lane| LaneChannel::open(&connection, lane, exits.queues.lane(lane), settings.prefetch);
        let lanes = PerLane {
            interactive: Arc::new(open(Lane::Interactive).await?),
            bulk: Arc::new(open(Lane::Bulk).await?),
        };
        Ok(Self { connection, lanes, tasks: JoinSet::new() })
    }

    /// Passes deliveries to `intake` and settlements to the broker, until something ends it.
    pub async fn run(
        mut self,
        exits: &Arc<Exits>,
        metrics: &Arc<Metrics>,
        intake: mpsc::Sender<AmqpDelivery>,
        mut commands: Commands,
    ) -> EndedBy {
        for lane in Lane::ALL {
            let channel = Arc::clone(self.lanes.get(lane));
            let (pump, exits, intake) = (Arc::clone(&channel), Arc::clone(exits), intake.clone());
            self.tasks.spawn(async move { Part::Pump(pump.pump(exits, intake).await) });
            let closing = commands.close.clone();
            self.tasks.spawn(async move { Part::Acker(channel.acker(closing).await) });
        }
        // The pumps alone hold the intake open now: when both have ended, so does the source.
        drop(intake);
        let ended = self.watch(exits, metrics, &mut commands).await;
        for lane in Lane::ALL {
            self.lanes.get(lane).lose();
        }
        self.close(ended).await;
        ended
    }

    async fn watch(
        &mut self,
        exits: &Arc<Exits>,
        metrics: &Arc<Metrics>,
        commands: &mut Commands,
    ) -> EndedBy {
        // Not a task: it ends with the session.
        let sampling = depths::sample(&self.connection, &exits.queues, metrics);
        tokio::pin!(sampling);
        let mut wanted = true;
        let mut ackers = Lane::ALL.len();
        loop {
            tokio::select! {
                () = &mut sampling => return EndedBy::ConnectionLost,
                () = commands.unwanted(), if wanted => {
                    wanted = false;
                    for lane in Lane::ALL {
                        if let Err(error) = self.lanes.get(lane).cancel().await {
                            return ended_by(&error);
                        }
                    }
                    commands.stopped.cancel();
                }
                Some(part) = self.tasks.join_next() => match part {
                    Ok(Part::Pump(EndedBy::ConsumerCancelled)) if !wanted => {}
                    Ok(Part::Pump(ended)) => return ended,
                    Ok(Part::Acker(EndedBy::Shutdown)) => {
                        ackers -= 1;
                        if ackers == 0 {
                            return EndedBy::Shutdown;
                        }
                    }
                    Ok(Part::Acker(ended)) => return ended,
                    // A panic in one of them: the session is rebuilt, nothing is lost.
                    Err(_) => return EndedBy::ChannelClosed,
                },
            }
        }
    }

    async fn close(&mut self, ended: EndedBy) {
        if ended == EndedBy::Shutdown {
            sleep(LINGER).await;
        }
        // A connection that failed may hang instead of closing: it is not waited for.
        let _ = timeout(LINGER * 10, self.connection.close(200, "bye".into())).await;
        self.tasks.shutdown().await;
    }
}
