//! Messages whose session is lost before they are published: their jobs are redelivered, so the messages are dropped.
//! They are not published later, and their bytes are not kept.

use std::collections::BTreeMap;

use crate::harness::{
    Answer, DEAD, Endpoint, INTERACTIVE, Message, Stage, Worker, relay::Relay, scrape::Scrape,
    token,
};

/// The connection that consumes the jobs of these tests.
const CONSUMER: &str = "consume interactive";

/// A worker whose dead letters are published and never confirmed: one batch stays unconfirmed, and all other messages
/// wait behind it.
struct Scene {
    stage: Stage,
    relay: Relay,
    _endpoint: Endpoint,
    worker: Worker,
    lost: usize,
}

impl Scene {
    async fn new(jobs: impl Iterator<Item = Message>) -> Self {
        let stage = Stage::new().await;
        let relay = Relay::open_to_broker(stage.broker_address()).await;
        relay.confirm_up_to(0);
        let endpoint = Endpoint::start(|_| Answer::rejected()).await;
        let worker = stage
            .run(&endpoint)
            .set("broker.url", stage.url_by(&relay))
            .set("broker.confirm_timeout", "60s")
            .ready()
            .await;
        stage.amqp.publish_all(INTERACTIVE, jobs).await;
        let scene = Self { stage, relay, _endpoint: endpoint, worker, lost: 0 };
        scene.relay.withheld(1).await;
        scene
    }

    /// Waits until this many jobs have messages that wait.
    async fn until_settling(&self, jobs: usize) {
        let settling = |now: &Scrape| now.value(r#"jobs_in_flight{state="settling"}"#) == jobs;
        self.worker.until_metrics("letters to wait", settling).await;
    }

    /// Ends the consuming session. Returns once the next one has this many deliveries.
    async fn lose_session(&mut self, deliveries: usize) {
        let before = self.worker.metrics().await.sum("deliveries_total");
        self.stage.host.close_connection(CONSUMER, "maintenance").await;
        let lost = |now: &Scrape| now.sessions("connection_lost") > self.lost;
        let now = self.worker.until_metrics("the session to be lost", lost).await;
        self.lost = now.sessions("connection_lost");
        let again = |now: &Scrape| now.sum("deliveries_total") >= before + deliveries;
        self.worker.until_metrics("the jobs to come again", again).await;
    }
}

/// The sessions that deliver the jobs are lost again and again while no message gets through. The messages of a lost
/// session are not published: each job has one dead letter, and those of the unconfirmed batch have two.
#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_lost_session_are_not_published() {
    const JOBS: usize = 20;
    const LOSSES: usize = 3;
    let mut scene = Scene::new((0..JOBS).map(|n| Message::job(&token(100 + n)))).await;
    scene.until_settling(JOBS).await;
    for _ in 0..LOSSES {
        scene.lose_session(JOBS).await;
        scene.until_settling(JOBS).await;
    }
    let on_their_way = usize::try_from(scene.relay.highest_withheld()).unwrap();
    scene.relay.release_confirms();
    scene.worker.until_processed("dead_lettered", JOBS).await;
    scene.stage.host.until_acked(&[INTERACTIVE]).await;
    scene.worker.stop().await;
    let mut copies = BTreeMap::<String, usize>::new();
    for letter in scene.stage.amqp.take_all(DEAD).await {
        *copies.entry(letter.token()).or_default() += 1;
    }
    let of = |times: usize| copies.values().filter(|copies| **copies == times).count();
    assert_eq!((of(1), of(2)), (JOBS - on_their_way, on_their_way), "{copies:?}");
}

/// The same with large bodies: the worker's memory does not grow with the sessions that it loses.
#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_lost_session_take_no_memory() {
    /// All jobs, and one being published, fit into the bytes in flight of one lane.
    const JOBS: usize = 3;
    const BODY: usize = 8_000_000;
    const LOSSES: usize = 8;
    let large = |n: usize| Message::new(vec![b'x'; BODY]).id(&format!("large-{n}"));
    let mut scene = Scene::new((0..JOBS).map(large)).await;
    scene.until_settling(JOBS).await;
    scene.lose_session(JOBS).await;
    scene.until_settling(JOBS).await;
    let before = scene.worker.peak_memory();
    for _ in 1..LOSSES {
        scene.lose_session(JOBS).await;
        scene.until_settling(JOBS).await;
    }
    // The unconfirmed batch stays charged, and so do later deliveries.
    let in_flight = |now: &Scrape| now.value("in_flight_bytes") >= (JOBS + 1) * BODY;
    scene.worker.until_metrics("the batch to count", in_flight).await;
    let grown = (scene.worker.peak_memory() - before) * 1024;
    println!("grown by {grown} bytes over {LOSSES} sessions");
    assert!(grown < 2 * JOBS * BODY, "{grown} more bytes are held");
    scene.relay.release_confirms();
    scene.worker.until_processed("dead_lettered", JOBS).await;
    scene.stage.host.until_acked(&[INTERACTIVE]).await;
    let none = |now: &Scrape| now.value("in_flight_bytes") == 0;
    scene.worker.until_metrics("no bytes in flight", none).await;
    scene.worker.stop().await;
}
