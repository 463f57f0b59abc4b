//! One life of a worker: its parts are assembled as in `revoker run`, started, killed, or stopped in order.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use revoker::{
    broker::{PublishHealth, seams::ChannelLedger},
    domain::{Lane, PerLane},
    flow::{self, Dispatcher, Phase, Status},
    metrics::{Build, Metrics},
    pipeline::{BackingOff, ChecksSeen, Duplicates, FailureLog, Pipeline, Stop},
    ports::Demand,
    spans::Spans,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{LinkNumber, Outgoing, consume, publish},
    clock::WorkersClock,
    delivery::SimSource,
    endpoint::SimEndpoint,
    mutants::Mutant,
    plan::CLIENTS,
    witness::LifeNumber,
    world::{World, lock},
};

/// Deliveries between a session and the pipeline.
const INTAKE: usize = 64;

/// The time limit for a part to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// The shared state of one worker's parts, and its observable state.
pub struct Life {
    pub world: Arc<World>,
    pub number: LifeNumber,
    pub wanted: watch::Sender<Demand>,
    /// Cancelled once no more jobs are delivered.
    pub stopped: CancellationToken,
    /// Cancelled once all jobs in flight are settled: the acks are sent, and the session ends.
    pub close: CancellationToken,
    /// The consuming connection breaks.
    pub severed: Notify,
    flow: Arc<Dispatcher>,
    pub health: Arc<PublishHealth>,
    letters: mpsc::UnboundedSender<Outgoing>,
    session: Mutex<Option<(LinkNumber, PerLane<Arc<ChannelLedger>>)>>,
    dead: AtomicBool,
}

impl Life {
    /// A session was opened.
    pub fn opened(&self, link: LinkNumber, ledgers: PerLane<Arc<ChannelLedger>>) {
        *lock(&self.session) = Some((link, ledgers));
    }

    /// The ledger of a lane in the latest session.
    pub fn present_ledger(&self, lane: Lane) -> Option<Arc<ChannelLedger>> {
        lock(&self.session).as_ref().map(|(_, ledgers)| Arc::clone(ledgers.get(lane)))
    }

    /// Sends a message to the publishing connection.
    pub fn send(&self, letter: Outgoing) {
        // If the connection has ended, the message is dropped, and its delivery is requeued.
        let _ = self.letters.send(letter);
    }

    pub fn status(&self) -> Status {
        *self.flow.status().borrow()
    }

    /// Whether it was killed: its later actions have no effect.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}

/// A running worker.
pub struct Running {
    pub life: Arc<Life>,
    stop: Stop,
    metrics: Arc<Metrics>,
    working: JoinHandle<()>,
    consuming: JoinHandle<()>,
    publishing: JoinHandle<()>,
    guiding: JoinSet<()>,
}

impl Running {
    pub fn start(world: &Arc<World>) -> Self {
        let plan = &world.plan.worker;
        let build = Build { version: "0", revision: "0" };
        let metrics = Arc::new(Metrics::new(build).expect("the table is sound"));
        let excess = usize::from(world.is(Mutant::ExceedsTheLimit));
        let settings = flow::Settings {
            concurrency_max: plan.flow.concurrency_max + excess,
            ..plan.flow.clone()
        };
        let flow = Arc::new(Dispatcher::new(&settings, Arc::clone(&metrics)));
        let clients = if world.is(Mutant::TakesAllClientsForOne) { 1 } else { CLIENTS };
        flow.know(clients);
        let (letters, inbox) = mpsc::unbounded_channel();
        let health = Arc::new(PublishHealth::default());
        let life = Arc::new(Life {
            number: world.witness.born(),
            world: Arc::clone(world),
            wanted: watch::Sender::new(Demand::All),
            stopped: CancellationToken::new(),
            close: CancellationToken::new(),
            severed: Notify::new(),
            flow: Arc::clone(&flow),
            health: Arc::clone(&health),
            letters,
            session: Mutex::default(),
            dead: AtomicBool::new(false),
        });
        let stop = Stop::default();
        let pipeline = Arc::new(pipeline(&life, &metrics, stop.clone()));
        let (intake, deliveries) = mpsc::channel(INTAKE);
        let source = SimSource { life: Arc::clone(&life), intake: deliveries };
        let mut guiding = JoinSet::new();
        guiding.spawn(Arc::clone(&flow).run(CancellationToken::new()));
        guiding.spawn(hold_calls(Arc::clone(&health), Arc::clone(&flow)));
        guiding.spawn(take_in(Arc::clone(&life)));
        guiding.spawn(watch_pauses(Arc::clone(&life)));
        Self {
            stop,
            metrics,
            working: tokio::spawn(pipeline.run(source)),
            consuming: tokio::spawn(consume(Arc::clone(&life), intake)),
            publishing: tokio::spawn(publish(Arc::clone(world), health, inbox)),
            guiding,
            life,
        }
    }

    /// SIGKILL: its later actions have no effect.
    pub fn kill(mut self) {
        let Life { world, number, .. } = &*self.life;
        world.witness.books_hold(*number, &self.metrics, false);
        world.witness.died(*number);
        self.life.dead.store(true, Ordering::Relaxed);
        self.consuming.abort();
        self.publishing.abort();
        self.working.abort();
        self.guiding.abort_all();
        if let Some((link, ledgers)) = lock(&self.life.session).take() {
            // Its tasks are stopped as well. Otherwise they would wait until the schedule ends.
            for lane in Lane::ALL {
                ledgers.get(lane).lose();
            }
            world.broker.close(link);
        }
    }

    /// SIGTERM, and a second one after `second`, if set.
    pub async fn terminate(mut self, second: Option<Duration>) {
        let hurry = async {
            match second {
                Some(after) => sleep(after).await,
                None => std::future::pending().await,
            }
        };
        let orderly = tokio::select! {
            biased;
            () = self.leave() => true,
            () = hurry => false,
        };
        if orderly {
            let Life { world, number, .. } = &*self.life;
            world.witness.books_hold(*number, &self.metrics, true);
            world.witness.died(*number);
            self.guiding.shutdown().await;
        } else {
            self.kill();
        }
    }

    /// Stops in the order of `revoker run`. No new jobs arrive, and waiting jobs are requeued. Calls and settlements
    /// finish within the grace, the rest is requeued, and the acks are sent.
    async fn leave(&mut self) {
        let life = Arc::clone(&self.life);
        let Life { world, number, wanted, stopped, close, .. } = &*life;
        wanted.send_replace(Demand::Never);
        let _ = timeout(GOODBYE, stopped.cancelled()).await;
        world.witness.draining(*number);
        self.stop.start_draining();
        if !world.is(Mutant::LeavesTooSoon)
            && !ends(&mut self.working, world.plan.worker.grace).await
        {
            world.witness.cut_off(*number);
            self.stop.cut_off();
            if !ends(&mut self.working, GOODBYE).await {
                world.witness.violated("the pipeline was cut off, and continues".to_owned());
            }
        }
        close.cancel();
        if !ends(&mut self.consuming, GOODBYE).await {
            world.witness.violated("the session was closed, and continues".to_owned());
        }
    }
}

/// Whether a part of the worker ends by itself, and soon enough.
async fn ends(part: &mut JoinHandle<()>, within: Duration) -> bool {
    timeout(within, part).await.is_ok_and(|ended| ended.is_ok())
}

fn pipeline(
    life: &Arc<Life>,
    metrics: &Arc<Metrics>,
    stop: Stop,
) -> Pipeline<SimEndpoint, WorkersClock> {
    let world = &life.world;
    let plan = &world.plan.worker;
    let slow = world.is(Mutant::ReadsASlowClock);
    let capacity =
        if world.is(Mutant::ForgetsDuplicates) { 0 } else { plan.pipeline.remember_capacity };
    let mut settings = plan.pipeline.clone();
    if world.is(Mutant::OutstaysTheHold) {
        settings.policy.retry.hold *= 2;
    }
    Pipeline {
        settings,
        endpoint: SimEndpoint(Arc::clone(life)),
        clock: WorkersClock {
            wall: Arc::clone(&world.clock),
            slow_by: if slow { Duration::from_secs(60) } else { Duration::ZERO },
        },
        duplicates: Arc::new(Duplicates::new(plan.pipeline.remember, capacity)),
        backing_off: BackingOff::new(plan.room()),
        flow: Arc::clone(&life.flow),
        metrics: Arc::clone(metrics),
        checks: ChecksSeen::default(),
        failures: Arc::new(FailureLog::default()),
        spans: Spans::none(),
        stop,
        has_dead_letters: true,
    }
}

/// Starts no calls while too many verdicts wait to be published.
async fn hold_calls(health: Arc<PublishHealth>, flow: Arc<Dispatcher>) {
    let mut full = health.full();
    while full.changed().await.is_ok() {
        let full = *full.borrow_and_update();
        flow.hold(full);
    }
}

/// Reports the paused clients to the witness.
async fn watch_pauses(life: Arc<Life>) {
    let mut status = life.flow.status();
    while status.changed().await.is_ok() {
        let phase = status.borrow_and_update().phase;
        let mut paused: BTreeSet<_> =
            life.flow.pauses().into_iter().map(|pause| Some(pause.client)).collect();
        if phase != Phase::Running {
            paused.insert(None);
        }
        life.world.witness.paused(life.number, &paused);
    }
}

/// Forwards the flow's demand for jobs.
async fn take_in(life: Arc<Life>) {
    let mut status = life.flow.status();
    while status.changed().await.is_ok() {
        let wanted = status.borrow_and_update().demand;
        life.wanted.send_if_modified(|before| {
            let changes = *before != Demand::Never && *before != wanted;
            if changes {
                *before = wanted;
            }
            changes
        });
    }
}
