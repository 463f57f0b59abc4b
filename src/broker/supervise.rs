//! Supervises the sessions: each lane has one after the other, as long as jobs are wanted. A failure of one lane's
//! connection does not stop the other.
//!
//! lapin's automatic recovery stays off. A recovered channel can ack new jobs by stale tags. An outer loop is needed
//! anyway, for topology and for a broker that is absent at the start.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{
    commands::ConsumerControl,
    consuming::Consuming,
    delivery::{AmqpDelivery, SettlementTargets},
    depths::Samplers,
    lane_sessions::{LaneSessions, SessionContext},
    one_job::{OneJob, Sessions},
    settings::BrokerSettings,
    stream::Budget,
    topology::TopologyError,
};
use crate::{
    domain::PerLane,
    metrics::Metrics,
    ports::{Consumers, Source},
};

/// Deliveries between the sessions and the pipeline. The prefetch bounds the deliveries behind it.
const INTAKE: usize = 64;

/// The deliveries of all sessions of both lanes.
#[derive(Debug)]
pub struct AmqpSource(mpsc::Receiver<AmqpDelivery>);

impl Source for AmqpSource {
    type Delivery = AmqpDelivery;

    async fn next(&mut self) -> Option<AmqpDelivery> {
        self.0.recv().await
    }
}

/// The task that keeps a session of each lane alive.
pub struct Supervisor {
    lanes: PerLane<LaneSessions>,
    /// Whether each lane's connection is not read, because `broker.in_flight_bytes` is used up.
    pub stalls: PerLane<watch::Receiver<bool>>,
    one_job: OneJob,
}

impl Supervisor {
    /// Returns the task, its deliveries, its commands, and its report. It reports each lane's number of consumers to
    /// `consumers`.
    pub fn new(
        settings: Arc<BrokerSettings>,
        targets: Arc<SettlementTargets>,
        metrics: Arc<Metrics>,
        consumers: Option<Arc<dyn Consumers>>,
    ) -> (Self, AmqpSource, ConsumerControl, Arc<Consuming>) {
        let (deliveries, source) = mpsc::channel(INTAKE);
        let (control, commands, intake) = ConsumerControl::new(deliveries);
        let consuming = Arc::new(Consuming::new(Arc::clone(&metrics)));
        let sessions = Sessions::default();
        let shared = SessionContext {
            settings,
            targets,
            metrics,
            lanes: Arc::clone(&consuming),
            sessions: sessions.clone(),
            begun: Arc::default(),
            samplers: Samplers::default(),
            consumers,
        };
        let budgets = budgets(&shared.settings, &shared.metrics);
        let supervisor = Self {
            lanes: PerLane::from_fn(|lane| {
                let budget = Arc::clone(budgets.get(lane));
                LaneSessions::new(lane, shared.clone(), budget, intake.clone(), commands.clone())
            }),
            stalls: PerLane::from_fn(|lane| budgets.get(lane).stalls()),
            one_job: OneJob::new(sessions, commands),
        };
        (supervisor, AmqpSource(source), control, consuming)
    }

    /// Runs the sessions of both lanes ([`LaneSessions::run`]) until no job is wanted any more.
    pub async fn run(self) -> Result<(), TopologyError> {
        let PerLane { interactive, bulk } = self.lanes;
        let lanes = async { tokio::try_join!(interactive.run(), bulk.run()).map(|_| ()) };
        let asking = async {
            self.one_job.run().await;
            std::future::pending().await
        };
        tokio::select! {
            ended = lanes => ended,
            ended = asking => ended,
        }
    }
}

/// Half of the bytes in flight for each lane: one lane's bytes must not stop the other.
fn budgets(settings: &BrokerSettings, metrics: &Metrics) -> PerLane<Arc<Budget>> {
    let budgets = PerLane::from_fn(|_| Budget::new(settings.in_flight_bytes / 2));
    let PerLane { interactive, bulk } = budgets.clone();
    metrics.on_scrape(move |metrics| {
        metrics.in_flight_bytes(interactive.in_flight() + bulk.in_flight());
    });
    budgets
}
