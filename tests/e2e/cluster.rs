//! Three workers on a cluster of three nodes, with a steady producer: nodes and workers die, and no job is lost.
//!
//! It takes a minute and the whole machine, so it runs separately: `make test-cluster`.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use crate::harness::{
    AnswerKind, BULK, DEAD, Endpoint, INTERACTIVE, Launch, Worker,
    amqp::Amqp,
    cluster::Cluster,
    feed::{Fed, Feed},
    token,
};

const WORKERS: usize = 3;
const QUEUES: [&str; 3] = [INTERACTIVE, BULK, DEAD];
const PREFETCH: usize = 32;
/// Calls a second of one worker: few, so that jobs are in flight and waiting at every fault.
const RATE: usize = 100;
/// Calls from one fault to the next, so that each fault hits working workers.
const BETWEEN: usize = 500;

/// `broker.heartbeat` of the workers, the default.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The longest time without a revocation while a majority of the nodes is up. A node that dies closes its connections,
/// the others elect a leader at once, and a worker tries the next host at once: together this takes a fraction of a
/// second. A worker that takes two heartbeats, the time to notice a silent peer, has not used these signals.
const LONGEST_GAP: Duration = HEARTBEAT.saturating_mul(2);

/// The leader of a queue dies, then a worker, then the node returns; then the majority dies and returns. Nothing is
/// lost, no more jobs are called twice than were in flight, and with a majority the revocations continue.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and all of the machine: make test-cluster"]
async fn three_workers_outlive_the_nodes_of_a_cluster() {
    let cluster = Cluster::start().await;
    Amqp::connect_any(&cluster.test_urls(0)).await.declare_family().await;
    cluster.until_whole(0).await;
    let mut run = Run::start(&cluster).await;

    let leader = cluster.leader(0, INTERACTIVE, None).await;
    run.begin("the leader of the queues is killed");
    cluster.node(leader).kill().await;
    let next = cluster.leader(leader + 1, INTERACTIVE, Some(leader)).await;
    run.went_on().await;

    run.begin("a worker is killed");
    // A worker that has lost no connection yet: it has the most jobs in flight.
    run.workers.remove((leader + 1) % WORKERS).kill().await;
    run.went_on().await;

    run.begin("the node comes back");
    cluster.node(leader).restart().await;
    cluster.until_whole(next).await;
    run.went_on().await;

    run.begin("two nodes of the three are killed, and come back");
    let lost = [next, next + 1];
    join_all(lost.map(|place| cluster.node(place).kill())).await;
    // Jobs wait, and none is delivered.
    for worker in &run.workers {
        worker
            .until_metrics("nothing in flight", |metrics| metrics.sum("jobs_in_flight") == 0)
            .await;
    }
    assert!(run.feed.confirmed() > run.tokens_called(), "no job waited");
    join_all(lost.map(|place| cluster.node(place).restart())).await;
    run.went_on().await;

    run.end(&cluster).await;
}

/// A run with its workers.
struct Run {
    endpoint: Arc<Endpoint>,
    feed: Feed,
    workers: Vec<Worker>,
    stretches: Vec<Stretch>,
}

/// A section of the run, from one fault on.
struct Stretch {
    fault: &'static str,
    began: Instant,
    ended: Option<Instant>,
}

impl Run {
    /// Each worker tries another node first.
    async fn start(cluster: &Cluster) -> Self {
        let endpoint = Arc::new(Endpoint::willing().await);
        let mut workers = Vec::new();
        for place in 0..WORKERS {
            let launch = Launch::bare("run")
                .calling(&endpoint)
                .set("broker.url", cluster.worker_urls(place))
                .set("broker.heartbeat", humantime::format_duration(HEARTBEAT))
                .set("broker.prefetch", PREFETCH)
                .set("flow.rate", RATE)
                .set("admin.listen", "127.0.0.1:0")
                .set("log.format", "json");
            workers.push(launch.ready().await);
        }
        let feed = Feed::start(cluster.test_urls(0), endpoint.clone());
        for worker in &workers {
            worker.until_processed("revoked", PREFETCH).await;
        }
        Self { endpoint, feed, workers, stretches: Vec::new() }
    }

    fn begin(&mut self, fault: &'static str) {
        self.stretches.push(Stretch { fault, began: Instant::now(), ended: None });
    }

    /// Ends the section once the work has continued for a while.
    async fn went_on(&mut self) {
        self.endpoint.until_count(self.endpoint.count() + BETWEEN).await;
        self.stretches.last_mut().unwrap().ended = Some(Instant::now());
    }

    fn tokens_called(&self) -> usize {
        let calls = self.endpoint.calls();
        calls.iter().map(|call| &call.token).collect::<BTreeSet<_>>().len()
    }

    /// Lets the workers finish, and compares the endings with the sent jobs.
    async fn end(self, cluster: &Cluster) {
        let gaps = self.gaps();
        let fed = self.feed.end().await;
        self.endpoint
            .until("every job to be called for", |calls| {
                calls.iter().map(|call| &call.token).collect::<BTreeSet<_>>().len() == fed.confirmed
            })
            .await;
        cluster.host.until_acked(&QUEUES).await;
        // The sessions of the killed worker.
        let mut lost_sessions = 2;
        for worker in self.workers {
            let metrics =
                worker.until_metrics("nothing in flight", |m| m.sum("jobs_in_flight") == 0).await;
            lost_sessions += ["connection_lost", "channel_closed", "consumer_cancelled"]
                .map(|ended_by| metrics.sessions(ended_by))
                .iter()
                .sum::<usize>();
            worker.stop().await;
        }
        let repeated = self.endpoint.count() - fed.confirmed;
        publish(&fed, repeated, lost_sessions, &gaps);

        let every: BTreeSet<String> = (0..fed.confirmed).map(token).collect();
        assert_eq!(self.endpoint.told(AnswerKind::Revoked), every);
        // A session holds the prefetch of its lane at most.
        let most = lost_sessions * PREFETCH + fed.again;
        assert!(repeated <= most, "{repeated} calls were repeated, at most {most} may be");
        let amqp = Amqp::connect_any(&cluster.test_urls(0)).await;
        for queue in QUEUES {
            assert_eq!(amqp.after_consumers(queue).await, 0, "{queue}");
        }
        for (fault, gap) in &gaps[..gaps.len() - 1] {
            assert!(*gap < LONGEST_GAP, "{fault}: {gap:?} without a revocation");
        }
    }

    /// The longest time between two revocations that overlaps each section.
    fn gaps(&self) -> Vec<(&'static str, Duration)> {
        let calls = self.endpoint.calls();
        let revoked = calls.iter().filter(|call| call.said == Some(AnswerKind::Revoked));
        let revoked: Vec<Instant> = revoked.map(|call| call.arrived).collect();
        let gap_of = |stretch: &Stretch| {
            let within = revoked.windows(2).filter(|pair| {
                pair[1] > stretch.began && stretch.ended.is_some_and(|ended| pair[0] < ended)
            });
            within.map(|pair| pair[1] - pair[0]).max().expect("it ended after calls")
        };
        self.stretches.iter().map(|stretch| (stretch.fault, gap_of(stretch))).collect()
    }
}

/// Prints the measurements in the form of docs/scaling.md.
fn publish(fed: &Fed, repeated: usize, lost_sessions: usize, gaps: &[(&str, Duration)]) {
    println!("\n{} jobs, all revoked; {repeated} calls made twice", fed.confirmed);
    println!("{} jobs sent again by their producer, {lost_sessions} sessions lost\n", fed.again);
    println!("| what happened | longest gap between two revocations |\n| --- | --- |");
    for (fault, gap) in gaps {
        println!("| {fault} | {:.1} s |", gap.as_secs_f64());
    }
}
