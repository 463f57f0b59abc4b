//! One session: the life of a lane's connection. Delivery tags mean nothing outside it.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    cause::CloseCause,
    commands::{DeliverySender, LaneCommands},
    connect::Unreachable,
    connection::{CLOSE_TIMEOUT, Connection},
    connection_errors::ConnectionErrors,
    consumption::Consumption,
    delivery::SettlementTargets,
    depths::Depths,
    one_job::{self, Question},
    session_end::{SessionBreak, SessionEnd},
    settings::{BrokerSettings, Declare},
    topology::{self, PrepareError, TopologyError},
    wait::ConnectionState,
};
use crate::{domain::Lane, metrics::SessionEndReason, ports::Demand};

/// How long the connection stays open after the broker has read the last ack. RabbitMQ 3.10 drops the last acks to a
/// quorum queue when the connection closes right behind them.
pub(super) const LINGER: Duration = Duration::from_millis(100);

/// How often a lane checks for room to consume again.
const CHECK_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Session {
    connection: Connection,
    errors: ConnectionErrors,
    settings: Arc<BrokerSettings>,
    consumption: Consumption,
}

impl Session {
    /// Declares or checks the lane's queues and opens the lane. It does not consume yet. If no lane ever consumed
    /// (`first`), wrong arguments of the other lane's queues are refused as well. The first session of a lane
    /// (`first_of_lane`) warns of queues that may have other arguments.
    pub(super) async fn begin(
        connection: Connection,
        lane: Lane,
        settings: Arc<BrokerSettings>,
        targets: Arc<SettlementTargets>,
        first: bool,
        first_of_lane: bool,
    ) -> Result<Self, PrepareError> {
        let mut errors = ConnectionErrors::of(&connection);
        let prepared = async {
            let queues = &targets.queues;
            let ensured =
                topology::ensure_lane(&connection, queues, lane, settings.declare).await?;
            if first && settings.declare == Declare::All {
                topology::compare_lane(&connection, queues, lane.other()).await?;
            }
            if first_of_lane {
                ensured.warn();
            }
            // What another user may declare anew between two sessions is trusted for one session only.
            let declared = ensured.keeps_dropped;
            let targets = Arc::new(SettlementTargets { declared, ..(*targets).clone() });
            Consumption::open(&connection, lane, settings.prefetch, targets)
                .await
                .map_err(|error| unreachable(&error))
        };
        let prepared = connection
            .answer(settings.connect_timeout, prepared)
            .await
            .unwrap_or_else(|silent| Err(Unreachable(silent.to_string()).into()));
        match prepared {
            Ok(consumption) => Ok(Self { connection, errors, settings, consumption }),
            Err(differs @ PrepareError::Topology(TopologyError::Differs { .. })) => Err(differs),
            Err(refused) if !connection.status().connected() => {
                let behind = errors.behind(connection.status()).await;
                Err(behind.map_or(refused, |error| unreachable(&error)))
            }
            Err(refused) => Err(refused),
        }
    }

    /// Runs the session: passes deliveries to `intake` and settlements to the broker until the session ends. It drops
    /// `intake` once no job is wanted any more, so that the receiver ends. `started` is notified when the broker has
    /// accepted the consumer, or none is wanted.
    pub(super) async fn run(
        mut self,
        intake: DeliverySender,
        commands: LaneCommands,
        questions: mpsc::Receiver<Question>,
        depths: &Depths,
        started: &Notify,
    ) -> SessionEnd {
        self.consumption.settle_until(commands.close.clone());
        let Err(broken) = self.watch(intake, commands, questions, depths, started).await;
        self.consumption.channel().lose();
        let (connection, queue) = (&self.connection, self.consumption.channel().queue());
        let end =
            SessionEnd::of(broken, &mut self.errors, connection, queue, self.settings.declare)
                .await;
        self.close(end.reason).await;
        end
    }

    /// Follows commands and answers questions until the session ends.
    async fn watch(
        &mut self,
        intake: DeliverySender,
        mut commands: LaneCommands,
        mut questions: mpsc::Receiver<Question>,
        depths: &Depths,
        started: &Notify,
    ) -> Result<Infallible, SessionBreak> {
        let Self { connection, errors, consumption, .. } = self;
        let connection = &*connection;
        let channel = Arc::clone(consumption.channel());
        let stalls = || connection.state() == ConnectionState::Stalled;
        let mut sampling = pin!(depths.sample(connection, &channel));
        let mut intake = Some(intake);
        let mut room = interval(CHECK_EVERY);
        room.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wanted = commands.wanted();
            let following = consumption.follow(connection, wanted, intake.as_ref());
            one_job::yielding_turns(&mut questions, stalls, following).await?;
            started.notify_one();
            if wanted == Demand::Never {
                intake = None;
            }
            let question = tokio::select! {
                error = errors.fatal() => return Err(SessionBreak::Failed(error)),
                broken = &mut sampling => return Err(broken),
                ended = consumption.next_end() => {
                    ended?;
                    continue;
                }
                () = commands.changed() => continue,
                _ = room.tick(), if consumption.waits_for_room(wanted) => continue,
                Some(question) = questions.recv() => question,
            };
            let fetching = consumption.fetch(connection, commands.wanted(), intake.as_ref());
            let answering = one_job::answer(question, stalls, fetching);
            one_job::yielding_turns(&mut questions, stalls, answering).await?;
        }
    }

    async fn close(&mut self, ended: SessionEndReason) {
        if ended == SessionEndReason::Shutdown {
            self.consumption.until_read(&self.connection).await;
            sleep(LINGER).await;
        }
        self.connection.close_within(CLOSE_TIMEOUT).await;
        self.consumption.end().await;
    }
}

fn unreachable(error: &lapin::Error) -> PrepareError {
    Unreachable(CloseCause::of(error).to_string()).into()
}
