//! One schedule, from its seed to its end.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    broker::{Message, forged},
    life::Running,
    mutants::Mutant,
    plan::{Fault, Plan},
    witness::Report,
    world::{Condition, World},
};

/// Once no more faults happen, the next message must end within the longest stay and this time. All messages together
/// may take longer: in a pause for rejections, each is a separate probe.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The interval of checking this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A worker is started again within this time.
const DOWNTIME: Duration = Duration::from_secs(20);

/// A fault of a worker.
enum Blow {
    Sever,
    Kill,
    Terminate(Option<Duration>),
}

/// Runs the schedule of a seed, with virtual time.
pub fn play(seed: u64, mutant: Option<Mutant>, recording: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // The jitter of the workers: it is drawn on this thread alone.
    fastrand::seed(seed);
    runtime.block_on(async {
        let world = World::new(Plan::draw(seed), mutant, recording);
        run(&world).await;
        world.witness.conclude(world.plan.jobs.len())
    })
}

async fn run(world: &Arc<World>) {
    let began = Instant::now();
    let mut around = JoinSet::new();
    let forgetful = world.is(Mutant::ForgetsAmbiguity);
    let broker = Arc::clone(world);
    around.spawn(async move { broker.broker.run_stays(forgetful).await });
    for number in 0..world.plan.jobs.len() {
        around.spawn(produce(Arc::clone(world), number));
    }
    let mut replicas = JoinSet::new();
    let mut blows = Vec::new();
    for _ in 0..world.plan.replicas {
        let (blow, feels) = mpsc::unbounded_channel();
        blows.push(blow);
        replicas.spawn(keep_alive(Arc::clone(world), feels));
    }
    inject_faults(world, began, &blows).await;
    sleep_until(began + world.plan.calm_after).await;
    world.becomes_calm();

    until_idle(world, &mut around).await;
    // Once their senders are dropped, the replicas stop in order.
    drop(blows);
    while let Some(ended) = replicas.join_next().await {
        ended.expect("no worker panics");
    }
}

/// Waits until every job is published and only dead letters are left.
async fn until_idle(world: &World, around: &mut JoinSet<()>) {
    // All tasks except the broker's end by themselves.
    while around.len() > 1 {
        around.join_next().await.expect("a task").expect("no producer panics");
    }
    let patience = world.plan.worker.longest_stay() + PATIENCE;
    let (mut ended, mut since) = (world.witness.ended(), Instant::now());
    while !world.broker.is_idle() && !world.witness.is_violated() {
        sleep(LOOK_EVERY).await;
        let before = std::mem::replace(&mut ended, world.witness.ended());
        if before != ended {
            since = Instant::now();
        } else if since.elapsed() > patience {
            world.witness.violated(format!("nothing ended within {patience:?} of calm"));
        }
    }
}

/// Publishes one job at its time, and again if its producer got no confirm.
async fn produce(world: Arc<World>, number: usize) {
    let job = &world.plan.jobs[number];
    sleep(job.at).await;
    // Without a key, a worker accepts the claimed origin of a message.
    let keyed = world.plan.worker.history_keys.are_given();
    let from = world.broker.retry_queue(job.lane).filter(|_| keyed);
    let message = Message::new(number, job, world.clock.now(), forged(from));
    world.witness.count("job", "published");
    world.witness.note(|| format!("job {number} is {job:?}"));
    if job.twice {
        world.witness.count("fault", "published twice");
        world.broker.publish(job.lane, message.clone());
        sleep(world.dice.up_to(LOOK_EVERY)).await;
    }
    world.broker.publish(job.lane, message);
}

async fn inject_faults(world: &World, began: Instant, blows: &[mpsc::UnboundedSender<Blow>]) {
    for timed in &world.plan.faults {
        sleep_until(began + timed.at).await;
        let blow = |worker: usize, blow| {
            // A worker that is no longer supervised gets no faults.
            let _ = blows[worker].send(blow);
        };
        world.witness.note(|| format!("{:?}", timed.fault));
        match timed.fault {
            Fault::Sever(worker) => blow(worker, Blow::Sever),
            Fault::Kill(worker) => blow(worker, Blow::Kill),
            Fault::Terminate { worker, second } => blow(worker, Blow::Terminate(second)),
            Fault::DeadRefuses(a_while) => world.set(Condition::DeadRefuses, a_while),
            Fault::RetryRefuses(a_while) => world.set(Condition::RetryRefuses, a_while),
            Fault::Blocked(a_while) => world.set(Condition::Blocked, a_while),
            Fault::Withdrawn(a_while) => world.set(Condition::Withdrawn, a_while),
            Fault::Down(a_while) => {
                world.set(Condition::Down, a_while);
                (0..blows.len()).for_each(|worker| blow(worker, Blow::Sever));
            }
            Fault::Step(seconds) => {
                world.witness.count("fault", "clock stepped");
                world.clock.step(seconds);
            }
        }
    }
}

/// Runs one worker after the other, until the faults end.
async fn keep_alive(world: Arc<World>, mut blows: mpsc::UnboundedReceiver<Blow>) {
    loop {
        sleep(world.dice.up_to(DOWNTIME)).await;
        let running = Running::start(&world);
        loop {
            match blows.recv().await {
                None => return running.terminate(None).await,
                Some(Blow::Sever) => running.life.severed.notify_one(),
                Some(Blow::Kill) => {
                    world.witness.count("worker", "killed");
                    running.kill();
                    break;
                }
                Some(Blow::Terminate(second)) => {
                    world.witness.count("worker", "terminated");
                    running.terminate(second).await;
                    break;
                }
            }
        }
    }
}
