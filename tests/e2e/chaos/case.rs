//! One chaos case, from its first job to its audit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use fastrand::Rng;

use super::{
    Ending, EndpointScript, Evidence, Plan,
    expected::{ExpectedEndings, REJECTED},
    recorded::RecordedEndings,
    row::Row,
};
use crate::harness::{
    AnswerKind, BULK, DEAD, Endpoint, INTERACTIVE, Launch, Message, OUTCOMES, Stage, StoredMessage,
    Worker, canary, eventually, scrape::Scrape, token, wait::HANG_GUARD,
};

/// Jobs that are published before their confirms are awaited.
const CONFIRMED_AT_A_TIME: usize = 5_000;
/// The time between two polls of the broker, the ledger and the workers.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The queues that the workers park in: the harness gives them one delay.
const PARKED: [&str; 2] = ["revocations.retry.interactive.1s", "revocations.retry.bulk.1s"];

/// A running case, apart from its fault.
pub struct Case {
    pub stage: Stage,
    pub endpoint: Endpoint,
    /// The worker that [`Case::start`] starts; a case may add settings.
    pub launch: Launch,
    /// The answers of the endpoint.
    pub script: EndpointScript,
    /// The random numbers of the case.
    pub chance: Rng,
    plan: Plan,
    expected: ExpectedEndings,
    published: usize,
    letters: Vec<StoredMessage>,
    events: Vec<StoredMessage>,
    series: Option<Vec<String>>,
    redelivered: BTreeMap<u32, usize>,
    began: Instant,
}

impl Case {
    pub(super) fn new(
        plan: Plan,
        stage: Stage,
        endpoint: Endpoint,
        script: EndpointScript,
        chance: Rng,
    ) -> Self {
        let launch = stage
            .run(&endpoint)
            .set("broker.prefetch", plan.prefetch)
            .set("flow.concurrency.max", plan.concurrency)
            // Every case has events, so that every fault meets them.
            .set("outcomes.queue", OUTCOMES)
            // Long time-outs: on a busy machine each one that expires would repeat a call.
            .set("endpoint.connect_timeout", "60s")
            .set("endpoint.timeout", "10m");
        Self {
            stage,
            endpoint,
            launch,
            script,
            chance,
            plan,
            expected: ExpectedEndings::default(),
            published: 0,
            letters: Vec::new(),
            events: Vec::new(),
            series: None,
            redelivered: BTreeMap::new(),
            began: Instant::now(),
        }
    }

    /// Publishes all jobs of the plan that are not published yet.
    pub async fn publish_all(&mut self) {
        self.publish(self.plan.jobs - self.published).await;
    }

    /// Publishes the next jobs of the plan to random lanes, and waits for the confirms.
    pub async fn publish(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let some = left.min(CONFIRMED_AT_A_TIME);
            let mut lanes = [(INTERACTIVE, Vec::new()), (BULK, Vec::new())];
            for _ in 0..some {
                let token = token(self.published);
                self.published += 1;
                let ending =
                    if self.script.always_rejects(&token) { REJECTED } else { Ending::Revoked };
                let lane = usize::from(self.chance.bool());
                lanes[lane].1.push(self.enter(Message::job(&token), &token, ending));
            }
            for (queue, jobs) in lanes {
                self.stage.amqp.publish_all(queue, jobs).await;
            }
            left -= some;
        }
    }

    /// Publishes the case's own message for `token` to a queue, and waits for the confirm.
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

    /// Adds a job to the expected endings; returns its message with its id.
    pub fn enter(&mut self, message: Message, token: &str, ending: Ending) -> Message {
        let id = format!("job-{}", self.expected.len());
        self.expected.add(id.clone(), token.to_owned(), ending);
        message.id(&id)
    }

    /// Accepts dead letters with this reason for any job.
    pub fn allow(&mut self, reason: &'static str) {
        self.expected.allow(reason);
    }

    /// Starts a worker.
    pub fn start(&self) -> Worker {
        self.launch.start()
    }

    /// Starts a worker, waits until it is ready, and checks its metrics.
    pub async fn ready(&mut self) -> Worker {
        let worker = self.launch.ready().await;
        self.check_metrics(&worker).await;
        worker
    }

    /// Scrapes a worker's metrics. Asserts that the set of series is unchanged and that no canary shows.
    pub async fn check_metrics(&mut self, worker: &Worker) -> Scrape {
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

    /// Waits until the endpoint has been called for `share` of the planned jobs: 0.5 is half of them.
    pub async fn until_called_for(&self, share: f64) {
        self.endpoint.until_count(self.part(share)).await;
    }

    /// Answers `share` of the planned jobs and holds the others until [`EndpointScript::release`].
    pub fn hold_at(&self, share: f64) {
        self.script.hold_after(self.part(share));
    }

    /// Waits until all calls that a worker may make at a time are held, after `share` of the jobs.
    pub async fn until_held_at(&self, share: f64) {
        self.endpoint.until_count(self.part(share) + self.plan.concurrency).await;
    }

    /// Waits until all jobs published so far are accounted for. `workers` are the running ones.
    pub async fn until_settled(&self, workers: &[&Worker]) {
        self.until_accounted(workers).await;
    }

    /// Waits until this many jobs are ready in the lanes.
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

    /// Moves the dead letters from their queue to the audit, before a case damages the queue.
    pub async fn save_letters(&mut self) {
        if let Some(depth) = self.stage.amqp.depth(DEAD).await {
            self.letters.extend(self.stage.amqp.drain(DEAD, depth.ready).await);
        }
    }

    /// Does the same with the outcome events.
    pub async fn save_events(&mut self) {
        if let Some(depth) = self.stage.amqp.depth(OUTCOMES).await {
            self.events.extend(self.stage.amqp.drain(OUTCOMES, depth.ready).await);
        }
    }

    /// The number of jobs that is `share` of the planned jobs.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "counts of a test are small, and shares between 0 and 1"
    )]
    pub fn part(&self, share: f64) -> usize {
        (self.plan.jobs as f64 * share) as usize
    }

    /// Calls in flight per worker.
    pub fn calls_at_a_time(&self) -> usize {
        self.plan.concurrency
    }

    /// The bound of duplicate calls after `faults` faults: the prefetch of both lanes of one worker at each.
    pub fn in_flight_at(&self, faults: usize) -> usize {
        self.in_flight_of(2 * faults)
    }

    /// The bound of duplicate calls after the loss of this many sessions, each of one lane.
    pub fn in_flight_of(&self, sessions: usize) -> usize {
        self.plan.prefetch * sessions
    }

    /// Waits until every job is accounted for, stops the workers in order, audits, and writes the row. Fails
    /// if more than `bound` calls or dead letters are duplicates.
    pub async fn close(
        mut self,
        workers: impl IntoIterator<Item = Worker>,
        evidence: Evidence,
        bound: usize,
    ) {
        let workers: Vec<Worker> = workers.into_iter().collect();
        assert!(!workers.is_empty(), "a worker has to finish the work");
        self.until_accounted(&workers.iter().collect::<Vec<_>>()).await;
        // A redelivery under way is counted nowhere yet. Parked jobs have no consumer, so their depth was
        // complete.
        self.stage.host.until_acked(&[INTERACTIVE, BULK]).await;
        for worker in workers {
            worker.until_metrics("the counters to balance", balanced).await;
            self.check_metrics(&worker).await;
            worker.stop().await;
        }
        for queue in [INTERACTIVE, BULK] {
            assert_eq!(self.stage.amqp.after_consumers(queue).await, 0, "{queue}");
        }
        self.save_letters().await;
        let letters = std::mem::take(&mut self.letters);
        self.save_events().await;
        RecordedEndings::read(&self.events).audit(&self.expected, &letters);
        let calls = self.endpoint.calls();
        let audit = self.expected.audit(&calls, &letters);
        for (what, twice) in [("calls", audit.calls_twice), ("letters", audit.letters_twice)] {
            assert!(twice <= bound, "{twice} {what} were made twice, beyond the bound of {bound}");
        }
        let row = Row {
            area: self.plan.area,
            fault: self.plan.fault,
            evidence,
            jobs: self.expected.len(),
            revoked: audit.revoked,
            dead_letters: letters.len(),
            calls: calls.len(),
            twice: audit.calls_twice,
            bound,
            redelivered: self.redelivered.values().sum(),
            seconds: self.began.elapsed().as_secs_f64(),
        };
        eprintln!("{row:?}");
        row.write();
    }

    /// Waits until nothing is in flight and every job has ended. It fails only when the progress stops, because a long
    /// backlog on a busy machine takes long.
    async fn until_accounted(&self, workers: &[&Worker]) {
        let (mut seen, mut since) = (None, Instant::now());
        loop {
            let (progress, dead_letters) =
                (self.progress(workers).await, self.expected.dead_letters());
            if progress.is_over(dead_letters)
                && self.is_accounted(progress.dead)
                // A job that arrived after the first poll may still be in flight.
                && self.progress(workers).await.is_over(dead_letters)
            {
                return;
            }
            if seen != Some(progress) {
                (seen, since) = (Some(progress), Instant::now());
            }
            assert!(since.elapsed() < HANG_GUARD, "nothing moves any more: {progress:?}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn is_accounted(&self, dead: usize) -> bool {
        // A job called twice may also become a dead letter, beyond the expected ones.
        let beyond = dead.saturating_sub(self.expected.dead_letters());
        let revoked: BTreeSet<String> = self.endpoint.told(AnswerKind::Revoked);
        self.expected.unrevoked(&revoked) <= beyond
    }

    async fn progress(&self, workers: &[&Worker]) -> Progress {
        let mut progress = Progress { calls: self.endpoint.count(), ..Progress::default() };
        for queue in [INTERACTIVE, BULK].iter().chain(&PARKED) {
            progress.waiting += self.stage.amqp.depth(queue).await.map_or(0, |depth| depth.ready);
        }
        let dead = self.stage.amqp.depth(DEAD).await.map_or(0, |depth| depth.ready);
        progress.dead = self.letters.len() + dead as usize;
        for worker in workers {
            let ended = worker.exited();
            assert!(ended.is_none(), "a worker ended: {ended:?}\n{}", worker.stderr());
            progress.in_flight += worker.metrics().await.sum("jobs_in_flight");
        }
        progress
    }
}

/// The progress of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Progress {
    calls: usize,
    /// Messages in the lanes and retry queues.
    waiting: u32,
    in_flight: usize,
    /// Dead letters, including those moved to the audit.
    dead: usize,
}

impl Progress {
    fn is_over(&self, dead_letters: usize) -> bool {
        self.waiting == 0 && self.in_flight == 0 && self.dead >= dead_letters
    }
}

/// Whether every delivery was processed or deferred, and none is in flight.
fn balanced(metrics: &Scrape) -> bool {
    let settled = metrics.sum("revocations_processed_total") + metrics.sum("deferrals_total");
    metrics.sum("jobs_in_flight") == 0 && metrics.sum("deliveries_total") == settled
}
