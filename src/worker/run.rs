//! The run loop of the worker: its tasks are started, watched, and stopped in order.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinHandle},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    engine::{self, Engine},
    error::WorkerError,
    hangup::Hangup,
    reload::{self, ReloadSignals, ReloadableSecrets},
    stop_signals::StopSignals,
};
use crate::{
    admin,
    broker::{
        self, AmqpSource, ConsumerControl, Consuming, HistoryKeys, PublishHealth, Publishing,
        Queues, SettlementTargets, Supervisor, TopologyError,
    },
    config::Config,
    domain::{ErrorChain, PerLane},
    flow::Dispatcher,
    metrics::Metrics,
    pipeline::{FailureLog, Stop},
    ports::{Consumers, Demand},
    spans::{self, Spans},
};

/// The longest wait for the broker in each step of the stop.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The end of a worker that had started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEnd {
    /// A signal stopped it, and every step of the stop was taken.
    InOrder,
    /// A second signal or a failed part ended it. The broker delivers the jobs in flight again.
    Early,
}

/// Runs the worker until a signal stops it. Logs the error if it cannot start, or if the queues differ from the
/// configured ones.
pub async fn run(config: &Config) -> Result<WorkerEnd, WorkerError> {
    let queues = Queues::new(&config.broker.queue, &[]);
    let queues = PerLane::from_fn(|lane| queues.lane(lane).to_string());
    let begun = spans::begin(queues, &config.endpoint.url);
    let (spans, exporting) =
        begun.map_err(|fault| WorkerError::Spans(fault.into())).inspect_err(tell)?;
    let ended = match start(config, spans).await {
        Ok(running) => running.until_ended(config.shutdown.grace).await,
        Err(fault) => Err(fault),
    };
    // The error is logged before the spans are exported, because a hanging collector takes seconds.
    let ended = ended.inspect_err(tell);
    exporting.end().await;
    ended
}

fn tell(fault: &WorkerError) {
    error!("{}", ErrorChain(fault));
}

/// A running worker: every task that was started, each awaited when it ends.
struct RunningWorker {
    signals: StopSignals,
    stop: Stop,
    control: ConsumerControl,
    supervising: JoinHandle<Result<(), TopologyError>>,
    publishing: JoinHandle<()>,
    working: JoinHandle<()>,
    /// The tasks that only wait for events. They are aborted after all other tasks have ended.
    background: [JoinHandle<()>; 6],
    failures: Arc<FailureLog>,
    serving: JoinHandle<()>,
    close_admin: CancellationToken,
}

async fn start(config: &Config, spans: Spans) -> Result<RunningWorker, WorkerError> {
    let hangup = Hangup::of_worker();
    let signals = StopSignals::with(hangup).map_err(WorkerError::Signals)?;
    let reload_signals = ReloadSignals::listen(hangup);
    let engine = engine::assemble(config, spans, true, |endpoint| endpoint)?;
    let flow_state = engine.flow_state();
    let Engine { metrics, subject, credentials, verifying, flow, pipeline, stop, .. } = engine;

    let history_keys = HistoryKeys::load(config.broker.history_key_file.as_deref());
    let history_keys = Arc::new(history_keys.map_err(WorkerError::HistoryKeys)?);
    let reloaded = engine::note_reloaded(&flow);
    let health = Arc::new(PublishHealth::default());
    let consumers: Arc<dyn Consumers> = Arc::new(Arc::clone(&flow));
    let consumers = flow.shares_rate().then_some(consumers);
    let (consumer, publishing) = connect(config, &metrics, &health, &history_keys, consumers);
    let (supervisor, source, control, consuming) = consumer;

    let secrets = ReloadableSecrets { credentials, verifying, history_keys };
    let close_admin = CancellationToken::new();
    let parts: admin::ReadinessParts = vec![
        ("consumer", consuming),
        ("publisher", Arc::clone(&health) as _),
        ("flow", flow_state),
    ];
    let serving =
        engine::serve_admin(config.admin.listen, &metrics, parts, subject, close_admin.clone())
            .await?;
    let stalls = supervisor.stalls.clone();
    Ok(RunningWorker {
        signals,
        stop,
        control: control.clone(),
        supervising: tokio::spawn(supervisor.run()),
        publishing: tokio::spawn(publishing.run()),
        failures: Arc::clone(&pipeline.failures),
        working: tokio::spawn(Arc::clone(&pipeline).run(source)),
        background: [
            tokio::spawn(engine::tell_failures(Arc::clone(&pipeline.failures))),
            tokio::spawn(hold_while_full(health, Arc::clone(&flow))),
            tokio::spawn(engine::forward_demand(Arc::clone(&flow), move |demand| {
                control.want(demand);
            })),
            tokio::spawn(async move { pipeline.make_room(stalls).await }),
            tokio::spawn(flow.run(close_admin.clone())),
            tokio::spawn(reload::keep_fresh(
                secrets,
                reload_signals,
                reloaded,
                close_admin.clone(),
            )),
        ],
        serving,
        close_admin,
    })
}

type Consumer = (Supervisor, AmqpSource, ConsumerControl, Arc<Consuming>);

fn connect(
    config: &Config,
    metrics: &Arc<Metrics>,
    health: &Arc<PublishHealth>,
    history_keys: &Arc<HistoryKeys>,
    consumers: Option<Arc<dyn Consumers>>,
) -> (Consumer, Publishing) {
    let prefetch = engine::prefetch(config);
    let settings = Arc::new(broker::BrokerSettings { prefetch, ..config.broker.clone() });
    let queues = Arc::new(settings.queues());
    let (publishing, publisher) = Publishing::new(
        Arc::clone(&settings),
        Arc::clone(&queues),
        Arc::clone(metrics),
        Arc::clone(health),
    );
    let declared = settings.declare == broker::Declare::All;
    let (health, history_keys) = (Arc::clone(health), Arc::clone(history_keys));
    let targets = Arc::new(SettlementTargets { queues, publisher, health, declared, history_keys });
    (Supervisor::new(settings, targets, Arc::clone(metrics), consumers), publishing)
}

/// Starts no calls while too many jobs wait to be published: each call could add one.
async fn hold_while_full(health: Arc<PublishHealth>, flow: Arc<Dispatcher>) {
    let mut full = health.full();
    while full.changed().await.is_ok() {
        let full = *full.borrow_and_update();
        flow.hold(full);
    }
}

impl RunningWorker {
    async fn until_ended(mut self, grace: Duration) -> Result<WorkerEnd, WorkerError> {
        tokio::select! {
            () = self.signals.next() => {}
            ended = &mut self.supervising => return supervisor_ended(ended),
            // These two end with the supervisor, and their end may be noticed first. Only the supervisor's result
            // distinguishes a configuration fault from a failure.
            ended = &mut self.working => return match ended {
                Err(panic) => Ok(part_ended("the pipeline", Some(&panic))),
                Ok(()) => supervisor_ended(self.supervising.await),
            },
            ended = &mut self.publishing => return match ended {
                Err(panic) => Ok(part_ended("publishing", Some(&panic))),
                Ok(()) => supervisor_ended(self.supervising.await),
            },
            ended = &mut self.serving => {
                return Ok(part_ended("the admin server", ended.as_ref().err()));
            }
        }
        info!(grace = %humantime::format_duration(grace), "shutting down");
        let mut signals = self.signals;
        let stopping = stop_in_order(
            &self.stop,
            &self.control,
            grace,
            [self.working, self.publishing],
            self.supervising,
        );
        let end = tokio::select! {
            () = stopping => WorkerEnd::InOrder,
            () = signals.next() => {
                warn!("ended at once by a second signal: jobs in flight are delivered again");
                WorkerEnd::Early
            }
        };
        for task in self.background {
            task.abort();
        }
        self.failures.tell_rest();
        // Last, so that the probes answer until the end.
        self.close_admin.cancel();
        let _ = self.serving.await;
        info!(
            "stopped: the jobs that are left stay in their queues, and the next start takes them"
        );
        Ok(end)
    }
}

/// Stops in order: no new jobs arrive, waiting jobs return to the broker, and calls and settlements finish
/// within the grace. Then the rest returns to the broker, and the last publishes and acks are sent.
async fn stop_in_order(
    stop: &Stop,
    control: &ConsumerControl,
    grace: Duration,
    [mut working, mut publishing]: [JoinHandle<()>; 2],
    mut supervising: JoinHandle<Result<(), TopologyError>>,
) {
    control.want(Demand::Never);
    // A job that is returned before the consumers are cancelled is delivered again at once.
    let _ = timeout(CLOSE_TIMEOUT, control.intake_stopped()).await;
    stop.start_draining();
    tokio::select! {
        _ = &mut working => {}
        () = sleep(grace) => {
            warn!("the grace is over: jobs still in flight are requeued");
            stop.cut_off();
            if timeout(CLOSE_TIMEOUT, &mut working).await.is_err() {
                working.abort();
            }
        }
    }
    control.close();
    if timeout(CLOSE_TIMEOUT, &mut supervising).await.is_err() {
        warn!("the broker does not answer: its last acks may be lost, and those jobs come again");
        supervising.abort();
    }
    if timeout(CLOSE_TIMEOUT, &mut publishing).await.is_err() {
        publishing.abort();
    }
}

/// The supervisor ends by itself only if the queues differ from the configured ones.
fn supervisor_ended(
    ended: Result<Result<(), TopologyError>, JoinError>,
) -> Result<WorkerEnd, WorkerError> {
    match ended {
        Ok(Err(fault)) => Err(fault.into()),
        Ok(Ok(())) => Ok(part_ended("consuming", None)),
        Err(panic) => Ok(part_ended("consuming", Some(&panic))),
    }
}

/// Logs the unexpected end of a part. No job is lost: the broker delivers the jobs in flight again.
fn part_ended(part: &str, panic: Option<&JoinError>) -> WorkerEnd {
    error!(part, panicked = panic.is_some(), "a part of the worker ended");
    WorkerEnd::Early
}
