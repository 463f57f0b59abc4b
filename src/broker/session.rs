//! One life of a lane's connection. Delivery tags mean nothing outside theirs.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    announced::Errors,
    cause::Cause,
    commands::{Commands, Intake, Wanted},
    connection::{CLOSE_TIMEOUT, Connection},
    consumption::Consumption,
    delivery::Exits,
    depths::Depths,
    ending::{Break, End, Place},
    one_job::{self, Question},
    settings::Settings,
    topology::{self, TopologyError},
    wait::ConnectionState,
};
use crate::{domain::Lane, metrics::EndedBy};

/// After the broker has read the last ack the connection stays open for this long: RabbitMQ 3.10 drops the
/// last acks to a quorum queue when the connection closes right behind them.
pub const LINGER: Duration = Duration::from_millis(100);

/// How often a lane that is to consume again looks whether there is room.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why no session began.
#[derive(Debug, Error)]
pub enum Refused {
    /// The broker cannot be reached, or does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// A queue is not as it must be.
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// A session of one lane.
#[derive(Debug)]
pub struct Session {
    lane: Lane,
    connection: Connection,
    errors: Errors,
    settings: Arc<Settings>,
    exits: Arc<Exits>,
    consumption: Consumption,
}

impl Session {
    /// Makes sure of the lane's queues, and opens the lane; nothing is consumed yet. As long as no lane ever
    /// consumed, `first` is true, and queues of the other lane that differ are a refusal as well.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub async fn begin(
        connection: Connection,
        lane: Lane,
        settings: Arc<Settings>,
        exits: Arc<Exits>,
        first: bool,
    ) -> Result<Self, Refused> {
        let mut errors = Errors::of(&connection);
        let prepared = async {
            let queues = &exits.queues;
            topology::ensure_lane(&connection, queues, lane, settings.declare).await?;
            if first && settings.declare {
                topology::compare_lane(&connection, queues, lane.other()).await?;
            }
            Consumption::open(&connection, lane, settings.prefetch, Arc::clone(&exits))
                .await
                .map_err(|error| Refused::Unreachable(Cause::of(&error).to_string()))
        };
        let prepared = connection
            .answer(settings.connect_timeout, prepared)
            .await
            .unwrap_or_else(|silent| Err(Refused::Unreachable(silent.to_string())));
        match prepared {
            Ok(consumption) => Ok(Self { lane, connection, errors, settings, exits, consumption }),
            Err(differs @ Refused::Topology(TopologyError::Differs { .. })) => Err(differs),
            Err(refused) if !connection.status().connected() => {
                match errors.behind(connection.status()).await {
                    Some(error) => Err(Refused::Unreachable(Cause::of(&error).to_string())),
                    None => Err(refused),
                }
            }
            Err(refused) => Err(refused),
        }
    }

    /// Passes deliveries to `intake` and settlements to the broker, until something ends it. The
    /// intake is given up once no job is wanted any more, so that its receiver ends.
    pub async fn run(
        mut self,
        intake: Intake,
        commands: Commands,
        questions: mpsc::Receiver<Question>,
        depths: &Depths,
    ) -> End {
        self.consumption.settle_until(commands.close.clone());
        let Err(broken) = self.watch(intake, commands, questions, depths).await;
        self.consumption.channel().lose();
        let place = Place {
            connection: &self.connection,
            queue: self.exits.queues.lane(self.lane),
            declare: self.settings.declare,
        };
        let end = End::of(broken, &mut self.errors, &place).await;
        self.close(end.by).await;
        end
    }

    /// Follows commands and answers questions until something ends the session.
    async fn watch(
        &mut self,
        intake: Intake,
        mut commands: Commands,
        mut questions: mpsc::Receiver<Question>,
        depths: &Depths,
    ) -> Result<Infallible, Break> {
        let Self { connection, errors, consumption, .. } = self;
        let connection = &*connection;
        let channel = Arc::clone(consumption.channel());
        let stalls = || connection.state() == ConnectionState::Stalled;
        let mut sampling = pin!(depths.sample(connection, &channel));
        let mut intake = Some(intake);
        let mut room = interval(LOOK_EVERY);
        room.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wanted = commands.wanted();
            let following = consumption.follow(connection, wanted, intake.as_ref());
            one_job::leaving_turns(&mut questions, stalls, following).await?;
            if wanted == Wanted::Never {
                intake = None;
            }
            let question = tokio::select! {
                error = errors.fatal() => return Err(Break::Failed(error)),
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
            one_job::leaving_turns(&mut questions, stalls, answering).await?;
        }
    }

    async fn close(&mut self, ended: EndedBy) {
        if ended == EndedBy::Shutdown {
            self.consumption.until_read(&self.connection).await;
            sleep(LINGER).await;
        }
        self.connection.close_within(CLOSE_TIMEOUT).await;
        self.consumption.end().await;
    }
}
