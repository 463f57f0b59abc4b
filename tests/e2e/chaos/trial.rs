//! One case from its first job to its audit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use fastrand::Rng;

use super::{
    Ending, Evidence, Law, Plan,
    books::{Books, CONDEMNED},
    row::Row,
};
use crate::harness::{
    BULK, DEAD, Endpoint, INTERACTIVE, Launch, Letter, Message, Said, Stage, Worker, canary,
    eventually, scrape::Scrape, token, wait::HANG_GUARD,
};

/// Jobs that are published before their confirms are awaited.
const CONFIRMED_AT_A_TIME: usize = 5_000;
/// The pause between two looks at the broker, the ledger and the workers.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// The queues that the workers park in: the harness gives them one delay.
const PARKED: [&str; 2] = ["revocations.retry.interactive.1s", "revocations.retry.bulk.1s"];

/// A case under way. The fault is the case's own; everything else is here.
pub struct Trial {
    pub stage: Stage,
    pub endpoint: Endpoint,
    /// What [`Trial::start`] starts; a case may set more.
    pub launch: Launch,
    /// What the endpoint decides.
    pub law: Law,
    /// Chance of the case's own.
    pub chance: Rng,
    plan: Plan,
    books: Books,
    published: usize,
    letters: Vec<Letter>,
    series: Option<Vec<String>>,
    redelivered: BTreeMap<u32, usize>,
    began: Instant,
}

impl Trial {
    pub(super) fn new(plan: Plan, stage: Stage, endpoint: Endpoint, law: Law, chance: Rng) -> Self {
        let launch = stage
            .run(&endpoint)
            .set("broker.prefetch", plan.prefetch)
            .set("flow.concurrency.max", plan.concurrency)
            // A busy machine must not be one more fault: each of these, run out, would do a job twice.
            .set("endpoint.connect_timeout", "60s")
            .set("endpoint.timeout", "10m");
        Self {
            stage,
            endpoint,
            launch,
            law,
            chance,
            plan,
            books: Books::default(),
            published: 0,
            letters: Vec::new(),
            series: None,
            redelivered: BTreeMap::new(),
            began: Instant::now(),
        }
    }

    /// Publishes all jobs of the plan that are not published yet.
    pub async fn publish_all(&mut self) {
        self.publish(self.plan.jobs - self.published).await;
    }

    /// Publishes the next jobs of the plan, to lanes that are drawn; the broker confirms each.
    pub async fn publish(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let some = left.min(CONFIRMED_AT_A_TIME);
            let mut lanes = [(INTERACTIVE, Vec::new()), (BULK, Vec::new())];
            for _ in 0..some {
                let token = token(self.published);
                self.published += 1;
                let ending = if self.law.condemns(&token) { CONDEMNED } else { Ending::Revoked };
                let lane = usize::from(self.chance.bool());
                lanes[lane].1.push(self.enter(Message::job(&token), &token, ending));
            }
            for (queue, jobs) in lanes {
                self.stage.amqp.publish_all(queue, jobs).await;
            }
            left -= some;
        }
    }

    /// Publishes a message of the case's own, for `token`, to a queue; the broker confirms it.
    pub async fn publish_own(
        &mut self,
        queue: &str,
        message: Message,
        token: &str,
        ending: Ending,
    ) {
        let message = self.enter(message, token, ending);
        self.stage.amqp.publish(queue, message).await;
    }

    /// Enters a job into the books; returns it with the id that it has there.
    pub fn enter(&mut self, message: Message, token: &str, ending: Ending) -> Message {
        let id = format!("job-{}", self.books.len());
        self.books.enter(id.clone(), token.to_owned(), ending);
        message.id(&id)
    }

    /// Lets jobs be dead for `reason` as well, by the nature of the fault.
    pub fn allow(&mut self, reason: &'static str) {
        self.books.allow(reason);
    }

    /// Starts a worker.
    pub fn start(&self) -> Worker {
        self.launch.start()
    }

    /// Starts a worker, waits until it is ready, and takes a first look at its metrics.
    pub async fn ready(&mut self) -> Worker {
        let worker = self.launch.ready().await;
        self.look(&worker).await;
        worker
    }

    /// Looks at a worker's metrics: they have the series that they had before, and show no canary.
    pub async fn look(&mut self, worker: &Worker) -> Scrape {
        let scrape = worker.metrics().await;
        canary::assert_clean("/metrics", scrape.text.as_bytes());
        let series: Vec<String> = scrape.names().into_iter().map(str::to_owned).collect();
        let before = self.series.get_or_insert_with(|| series.clone());
        assert_eq!(*before, series, "the set of series changed");
        let redelivered = ["interactive", "bulk"].map(|lane| {
            scrape.value(&format!("deliveries_total{{lane=\"{lane}\",redelivered=\"true\"}}"))
        });
        self.redelivered.insert(worker.pid(), redelivered.iter().sum());
        scrape
    }

    /// Waits until the endpoint has seen `share` of the planned jobs: 0.5 is half of them.
    pub async fn until_called_for(&self, share: f64) {
        self.endpoint.until_count(self.part(share)).await;
    }

    /// Has the endpoint answer `share` of the planned jobs, and no more until [`Law::release`].
    pub fn hold_at(&self, share: f64) {
        self.law.hold_after(self.part(share));
    }

    /// Waits until a worker that makes as many calls as it may is held up with all of them, behind `share`:
    /// it makes no other until they are answered.
    pub async fn until_held_at(&self, share: f64) {
        self.endpoint.until_count(self.part(share) + self.plan.concurrency).await;
    }

    /// Waits until what was published so far is accounted for; `workers` are those that live.
    pub async fn until_settled(&self, workers: &[&Worker]) {
        self.until_accounted(workers).await;
    }

    /// Waits until so many jobs wait in the lanes, in nobody's hand.
    pub async fn until_waiting(&self, count: usize) {
        eventually(&format!("{count} jobs to wait"), async || {
            let mut ready = 0;
            for queue in [INTERACTIVE, BULK] {
                ready += self.stage.amqp.depth(queue).await.map_or(0, |depth| depth.ready) as usize;
            }
            if ready == count { Ok(()) } else { Err(format!("{ready}")) }
        })
        .await;
    }

    /// Takes the dead letters of now out of their queue, which a case is about to harm; the audit has them.
    pub async fn save_letters(&mut self) {
        if let Some(depth) = self.stage.amqp.depth(DEAD).await {
            self.letters.extend(self.stage.amqp.drain(DEAD, depth.ready).await);
        }
    }

    /// So much of the planned jobs.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "counts of a test are small, and shares between 0 and 1"
    )]
    pub fn part(&self, share: f64) -> usize {
        (self.plan.jobs as f64 * share) as usize
    }

    /// Calls that a worker makes at a time.
    pub fn calls_at_a_time(&self) -> usize {
        self.plan.concurrency
    }

    /// A bound for the calls that `faults` faults may have made twice, if at each of them everything that
    /// one worker may hold of both lanes was settled and not acked.
    pub fn in_hand_at(&self, faults: usize) -> usize {
        self.in_hand_of(2 * faults)
    }

    /// The same for the loss of so many sessions, each of one lane.
    pub fn in_hand_of(&self, sessions: usize) -> usize {
        self.plan.prefetch * sessions
    }

    /// Waits until every job is accounted for, stops the workers in order, audits, and leaves the row.
    /// At most `bound` calls, and as many dead letters, may have been made twice.
    pub async fn close(
        mut self,
        workers: impl IntoIterator<Item = Worker>,
        evidence: Evidence,
        bound: usize,
    ) {
        let workers: Vec<Worker> = workers.into_iter().collect();
        assert!(!workers.is_empty(), "somebody has to finish the work");
        self.until_accounted(&workers.iter().collect::<Vec<_>>()).await;
        // What comes once more is in nobody's books while it is on its way.
        // Of what is parked nothing is in anybody's hand: its depth was all.
        self.stage.host.until_acked(&[INTERACTIVE, BULK]).await;
        for worker in workers {
            worker.until_metrics("the books to balance", balanced).await;
            self.look(&worker).await;
            worker.stop().await;
        }
        for queue in [INTERACTIVE, BULK] {
            assert_eq!(self.stage.amqp.after_consumers(queue).await, 0, "{queue}");
        }
        self.save_letters().await;
        let letters = std::mem::take(&mut self.letters);
        let calls = self.endpoint.calls();
        let audit = self.books.audit(&calls, &letters);
        for (what, twice) in [("calls", audit.calls_twice), ("letters", audit.letters_twice)] {
            assert!(twice <= bound, "{twice} {what} were made twice, beyond the bound of {bound}");
        }
        let row = Row {
            area: self.plan.area,
            fault: self.plan.fault,
            evidence,
            jobs: self.books.len(),
            revoked: audit.revoked,
            dead_letters: letters.len(),
            calls: calls.len(),
            twice: audit.calls_twice,
            bound,
            redelivered: self.redelivered.values().sum(),
            seconds: self.began.elapsed().as_secs_f64(),
        };
        eprintln!("{row:?}");
        row.leave();
    }

    /// Waits until nothing is on its way any more and every job has its ending. It hangs only when
    /// nothing moves: a long backlog on a busy machine takes its time.
    async fn until_accounted(&self, workers: &[&Worker]) {
        let (mut seen, mut since) = (None, Instant::now());
        loop {
            let (standing, doomed) = (self.standing(workers).await, self.books.doomed());
            if standing.is_over(doomed)
                && self.is_accounted(standing.dead)
                // What came and was told since the first look may still be in hand.
                && self.standing(workers).await.is_over(doomed)
            {
                return;
            }
            if seen != Some(standing) {
                (seen, since) = (Some(standing), Instant::now());
            }
            assert!(since.elapsed() < HANG_GUARD, "nothing moves any more: {standing:?}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    fn is_accounted(&self, dead: usize) -> bool {
        // A job called twice may be in a letter alone, beyond those that must be.
        let beyond = dead.saturating_sub(self.books.doomed());
        let revoked: BTreeSet<String> = self.endpoint.told(Said::Revoked);
        self.books.unrevoked(&revoked) <= beyond
    }

    async fn standing(&self, workers: &[&Worker]) -> Standing {
        let mut standing = Standing { calls: self.endpoint.count(), ..Standing::default() };
        for queue in [INTERACTIVE, BULK].iter().chain(&PARKED) {
            standing.waiting += self.stage.amqp.depth(queue).await.map_or(0, |depth| depth.ready);
        }
        let dead = self.stage.amqp.depth(DEAD).await.map_or(0, |depth| depth.ready);
        standing.dead = self.letters.len() + dead as usize;
        for worker in workers {
            let ended = worker.exited();
            assert!(ended.is_none(), "a worker ended: {ended:?}\n{}", worker.stderr());
            standing.in_hand += worker.metrics().await.sum("jobs_in_flight");
        }
        standing
    }
}

/// How far a case has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Standing {
    calls: usize,
    /// In the lanes and parked.
    waiting: u32,
    in_hand: usize,
    /// Saved ones among them.
    dead: usize,
}

impl Standing {
    fn is_over(&self, doomed: usize) -> bool {
        self.waiting == 0 && self.in_hand == 0 && self.dead >= doomed
    }
}

/// Every delivery was processed or put off, and none is in hand.
fn balanced(metrics: &Scrape) -> bool {
    let settled = metrics.sum("revocations_processed_total") + metrics.sum("deferrals_total");
    metrics.sum("jobs_in_flight") == 0 && metrics.sum("deliveries_total") == settled
}
