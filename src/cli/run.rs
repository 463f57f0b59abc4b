//! `revoker run`: the worker, its parts wired together, started and stopped in order.

use std::{process::ExitCode, sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinHandle},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    EXIT_USAGE,
    credentials::{self, Secrets},
    engine::{self, Engine, EngineError},
    signals::Endings,
    with_sources,
};
use crate::{
    admin,
    broker::{
        self, AmqpSource, ConsumerControl, Consuming, HistoryKeys, PublishHealth, Publishing,
        Queues, SettlementTargets, Supervisor, TopologyError,
    },
    config::Config,
    domain::PerLane,
    flow::Dispatcher,
    metrics::Metrics,
    pipeline::Stop,
    ports::{Consumers, Demand},
    spans::{self, Spans},
};

/// The broker's goodbye may take this long; a broker that hangs is not waited for.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs the worker until a signal ends it.
pub async fn run(config: Config) -> ExitCode {
    let queues = Queues::new(&config.broker.queue, &[]);
    let queues = PerLane::from_fn(|lane| queues.lane(lane).to_string());
    let (spans, exporting) = match spans::begin(queues, &config.endpoint.url) {
        Ok(begun) => begun,
        Err(refusal) => {
            error!("{}", with_sources(&refusal));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let code = match start(&config, spans).await {
        Ok(running) => running.until_ended(config.shutdown.grace).await,
        Err(refusal) => {
            error!("{refusal}");
            ExitCode::from(refusal.exit_code())
        }
    };
    exporting.end().await;
    code
}

/// The worker under way: every task that was started, each awaited when it ends.
struct Running {
    endings: Endings,
    stop: Stop,
    control: ConsumerControl,
    supervising: JoinHandle<Result<(), TopologyError>>,
    publishing: JoinHandle<()>,
    working: JoinHandle<()>,
    /// What steers the flow and the intake: it only waits, and is ended when all else has.
    guiding: [JoinHandle<()>; 5],
    serving: JoinHandle<()>,
    close_admin: CancellationToken,
}

async fn start(config: &Config, spans: Spans) -> Result<Running, EngineError> {
    let endings = Endings::listen().map_err(EngineError::Signals)?;
    let engine = engine::assemble(config, spans, true, |endpoint| endpoint)?;
    let flow_state = engine.flow_state();
    let Engine { metrics, credentials, flow, pipeline, stop, .. } = engine;

    let history_keys = HistoryKeys::load(config.broker.history_key_file.as_deref());
    let history_keys = Arc::new(history_keys.map_err(EngineError::HistoryKeys)?);
    let renewing = engine::renew(&flow);
    let health = Arc::new(PublishHealth::default());
    let (consumer, publishing) = connect(config, &metrics, &health, &history_keys);
    let Consumer { mut supervisor, source, control, consuming } = consumer;
    if flow.shares_rate() {
        let flow: Arc<dyn Consumers> = Arc::new(Arc::clone(&flow));
        supervisor = supervisor.counting_for(&flow);
    }

    let secrets = Secrets { credentials, history_keys };
    let close_admin = CancellationToken::new();
    let parts: admin::Parts = vec![
        ("consumer", Arc::new(consuming)),
        ("publisher", Arc::clone(&health) as _),
        ("flow", flow_state),
    ];
    let serving =
        engine::serve_admin(config.admin.listen, &metrics, parts, close_admin.clone()).await?;
    let stalls = supervisor.stalls();
    Ok(Running {
        endings,
        stop,
        control: control.clone(),
        supervising: tokio::spawn(supervisor.run()),
        publishing: tokio::spawn(publishing.run()),
        working: tokio::spawn(Arc::clone(&pipeline).run(source)),
        guiding: [
            tokio::spawn(brake(health, Arc::clone(&flow))),
            tokio::spawn(take_in(Arc::clone(&flow), control)),
            tokio::spawn(async move { pipeline.make_room(stalls).await }),
            tokio::spawn(flow.run(close_admin.clone())),
            tokio::spawn(credentials::keep_fresh(secrets, renewing, close_admin.clone())),
        ],
        serving,
        close_admin,
    })
}

/// The consuming side.
struct Consumer {
    supervisor: Supervisor,
    source: AmqpSource,
    control: ConsumerControl,
    consuming: Consuming,
}

fn connect(
    config: &Config,
    metrics: &Arc<Metrics>,
    health: &Arc<PublishHealth>,
    history_keys: &Arc<HistoryKeys>,
) -> (Consumer, Publishing) {
    let prefetch = engine::prefetch(config);
    let settings = Arc::new(broker::BrokerSettings { prefetch, ..config.broker.clone() });
    let queues = Arc::new(Queues::new(&settings.queue, &settings.park));
    let (publishing, publisher) = Publishing::new(
        Arc::clone(&settings),
        Arc::clone(&queues),
        Arc::clone(metrics),
        Arc::clone(health),
    );
    let declared = settings.declare;
    let (health, history_keys) = (Arc::clone(health), Arc::clone(history_keys));
    let exits = Arc::new(SettlementTargets { queues, publisher, health, declared, history_keys });
    let (supervisor, source, control, consuming) =
        Supervisor::new(settings, exits, Arc::clone(metrics));
    (Consumer { supervisor, source, control, consuming }, publishing)
}

/// Starts no calls while too many verdicts wait to be published: each call could end as one more.
async fn brake(health: Arc<PublishHealth>, flow: Arc<Dispatcher>) {
    let mut full = health.full();
    while full.changed().await.is_ok() {
        let full = *full.borrow_and_update();
        flow.hold(full);
    }
}

/// Asks the broker for as many jobs as the flow wants.
async fn take_in(flow: Arc<Dispatcher>, control: ConsumerControl) {
    let mut status = flow.status();
    while status.changed().await.is_ok() {
        control.want(status.borrow_and_update().demand);
    }
}

impl Running {
    /// Waits for a signal, or for a part to fail.
    async fn until_ended(mut self, grace: Duration) -> ExitCode {
        tokio::select! {
            () = self.endings.next() => {}
            ended = &mut self.supervising => return refused(ended),
            // These two end with the supervisor, and may be seen to end first: its word says why, and
            // without it a fault of configuration would leave as a failure.
            ended = &mut self.working => return match ended {
                Err(panic) => failed("the pipeline", Some(&panic)),
                Ok(()) => refused((&mut self.supervising).await),
            },
            ended = &mut self.publishing => return match ended {
                Err(panic) => failed("publishing", Some(&panic)),
                Ok(()) => refused((&mut self.supervising).await),
            },
            ended = &mut self.serving => return failed("the admin server", ended.as_ref().err()),
        }
        info!(grace = %humantime::format_duration(grace), "shutting down");
        let mut endings = self.endings;
        let leaving = leave(
            &self.stop,
            &self.control,
            grace,
            [self.working, self.publishing],
            self.supervising,
        );
        let code = tokio::select! {
            () = leaving => ExitCode::SUCCESS,
            () = endings.next() => {
                warn!("ended at once by a second signal: what was in flight is delivered again");
                ExitCode::FAILURE
            }
        };
        for guide in self.guiding {
            guide.abort();
        }
        // Last, so that the probes answer to the end.
        self.close_admin.cancel();
        let _ = self.serving.await;
        info!("stopped");
        code
    }
}

/// Leaves in order: no new jobs; what waits goes back; what is called and settled is finished, within
/// the grace; the rest goes back; the publisher's letters, then the acks.
async fn leave(
    stop: &Stop,
    control: &ConsumerControl,
    grace: Duration,
    [mut working, mut publishing]: [JoinHandle<()>; 2],
    mut supervising: JoinHandle<Result<(), TopologyError>>,
) {
    control.want(Demand::Never);
    // Handed back before the consumers are cancelled, jobs would come straight back.
    let _ = timeout(GOODBYE, control.intake_stopped()).await;
    stop.start_draining();
    tokio::select! {
        _ = &mut working => {}
        () = sleep(grace) => {
            warn!("the grace is over: what is still in flight goes back");
            stop.cut_off();
            if timeout(GOODBYE, &mut working).await.is_err() {
                working.abort();
            }
        }
    }
    control.close();
    if timeout(GOODBYE, &mut supervising).await.is_err() {
        warn!("the broker does not answer: its last acks may be lost, and those jobs come again");
        supervising.abort();
    }
    if timeout(GOODBYE, &mut publishing).await.is_err() {
        publishing.abort();
    }
}

/// The supervisor ends by itself only if the topology is not the configured one.
fn refused(ended: Result<Result<(), TopologyError>, JoinError>) -> ExitCode {
    match ended {
        Ok(Err(refusal)) => {
            error!("{refusal}");
            ExitCode::from(EXIT_USAGE)
        }
        Ok(Ok(())) => failed("consuming", None),
        Err(panic) => failed("consuming", Some(&panic)),
    }
}

/// A part that must not end did. Nothing is lost: all that was in flight is delivered again.
fn failed(part: &str, panic: Option<&JoinError>) -> ExitCode {
    error!(part, panicked = panic.is_some(), "a part of the worker ended");
    ExitCode::FAILURE
}
