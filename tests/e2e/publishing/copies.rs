//! Tests of confirms that are late or missing, or whose connection is lost, and of the repeated publishes.

use std::{collections::BTreeMap, fs};

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, Gate, INTERACTIVE, Message, Stage, StoredMessage, Worker,
    message::text, relay::Relay, scrape::Scrape, token, web::Page,
};

/// Messages of a batch whose confirms are withheld.
const LETTERS: usize = 30;

/// A confirm that is late comes within ten time-outs, or its channel is given up; the next channel has twice
/// as long.
const LATE_LIMIT: usize = 10;

/// The first job: their tokens, and so their dead letters, are of one size.
const FIRST: usize = 100;

/// The number of confirmed messages of an interrupted batch.
const CONFIRMED: usize = 12;

/// How often each token is among these messages.
fn copies(letters: Vec<StoredMessage>) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for letter in letters {
        *copies.entry(letter.token()).or_default() += 1;
    }
    copies
}

/// Makes the broker close the publishing connection. Unlike after a reset, its earlier frames arrive.
async fn lose_publishing(stage: &Stage) {
    let expression = format!(
        r#"length([ok = rabbit_networking:close_connection(Pid, <<"maintenance">>)
            || Pid <- rabbit_networking:connections(),
                [{{client_properties, Named}}, {{vhost, <<"{}">>}}] <-
                    [rabbit_reader:info(Pid, [client_properties, vhost])],
                {{<<"connection_name">>, _, Name}} <- Named,
                binary:match(Name, <<"publish">>) =/= nomatch])."#,
        stage.host.name()
    );
    assert_eq!(stage.host.node().ctl(&["eval", &expression]).await, "1", "no connection was lost");
}

/// Lets confirms through until the message with the last tag is on its way, and its confirm does not reach the product;
/// returns the tag up to which they do. The size of a batch is the number of messages that wait at its start. The next
/// batch begins once all of the last one are confirmed.
async fn until_last_is_on_its_way(relay: &Relay, mut confirmed: u64, last: u64) -> u64 {
    loop {
        relay.withheld(confirmed + 1).await;
        let seen = relay.highest_withheld();
        if seen >= last {
            relay.confirmed(confirmed).await;
            return confirmed;
        }
        confirmed = seen;
        relay.confirm_up_to(confirmed);
    }
}

/// A worker with dead letters on their way, whose confirms do not reach it.
struct Scene {
    stage: Stage,
    relay: Relay,
    endpoint: Endpoint,
    worker: Worker,
    /// The tag up to which they do.
    confirmed: u64,
}

impl Scene {
    /// Every dead letter but the first is on its way, as far as one batch goes.
    async fn new(confirm_timeout: &str) -> Self {
        let stage = Stage::new().await;
        let relay = Relay::open_to_broker(stage.broker_address()).await;
        let gate = Gate::default();
        let held = gate.clone();
        let endpoint = Endpoint::start(move |call| {
            let answer = Answer::rejected();
            if call.token == token(FIRST) { answer } else { answer.after(&held) }
        })
        .await;
        let worker = stage
            .run(&endpoint)
            .set("broker.url", stage.url_by(&relay))
            .set("broker.confirm_timeout", confirm_timeout)
            .ready()
            .await;
        // Nothing goes together with a message that is larger than all that were confirmed: with this one
        // confirmed, the others go together.
        stage.amqp.publish(INTERACTIVE, Message::job(&token(FIRST))).await;
        worker.until_processed("dead_lettered", 1).await;
        relay.confirm_up_to(1);
        let jobs = (1..=LETTERS).map(|n| Message::job(&token(FIRST + n)));
        stage.amqp.publish_all(INTERACTIVE, jobs).await;
        endpoint.until_count(1 + LETTERS).await;
        gate.open();
        let settling = |now: &Scrape| now.value(r#"jobs_in_flight{state="settling"}"#) == LETTERS;
        worker.until_metrics("all to be settled", settling).await;
        relay.withheld(2).await;
        Self { stage, relay, endpoint, worker, confirmed: 1 }
    }

    /// All that are left are on their way in one batch: the first of them may have gone alone, and is
    /// confirmed.
    async fn in_one_batch(confirm_timeout: &str) -> Self {
        let mut scene = Self::new(confirm_timeout).await;
        let last = 1 + LETTERS as u64;
        scene.confirmed = until_last_is_on_its_way(&scene.relay, scene.confirmed, last).await;
        scene
    }

    /// Waits until late confirms are reported, and then for some time of the worker's own clock. Returns the age of the
    /// oldest job in flight, in seconds.
    async fn late_for(&self, seconds: usize) -> usize {
        let late =
            |page: &Page| page.status == 503 && page.body.contains("the broker does not confirm");
        self.worker.until_page("/readyz", "to tell of late confirms", late).await;
        let oldest = "oldest_job_in_flight_seconds";
        let passed = self.worker.metrics().await.value(oldest) + seconds;
        let waited =
            self.worker.until_metrics("the time to pass", |now| now.value(oldest) >= passed).await;
        waited.value(oldest)
    }

    /// Lets the confirms through; returns how often each token is among the dead letters, and the metrics.
    async fn released(self) -> (BTreeMap<String, usize>, Scrape) {
        self.relay.release_confirms();
        let metrics = self.worker.until_processed("dead_lettered", 1 + LETTERS).await;
        self.worker.until_ready().await;
        self.stage.host.until_acked(&[INTERACTIVE]).await;
        self.worker.stop().await;
        assert_eq!(self.endpoint.count(), 1 + LETTERS, "a job was called twice");
        (copies(self.stage.amqp.take_all(DEAD).await), metrics)
    }
}

/// Confirms that are later than the time-out are waited for on their own channel: nothing is published
/// again, and they count when they come.
#[tokio::test(flavor = "multi_thread")]
async fn confirms_that_are_late_make_no_copies() {
    const TIMEOUT: usize = 2;
    let scene = Scene::in_one_batch("2s").await;
    let waited = scene.late_for(2 * TIMEOUT).await;
    let (copies, metrics) = scene.released().await;
    let timed_out = metrics.publishes("dead_letter", "timed_out");
    // If the machine is so slow that the channel is given up, that is counted.
    let given_up = usize::from(waited >= LATE_LIMIT * TIMEOUT);
    assert!(timed_out <= given_up * LETTERS, "{timed_out} published again after {waited} s");
    let stored: usize = copies.values().sum();
    assert_eq!((copies.len(), stored), (1 + LETTERS, 1 + LETTERS + timed_out), "{copies:?}");
}

/// Confirms that do not come at all have their channel given up, each time after twice as long. Each copy is
/// counted, and there are no more of them than the time allows.
#[tokio::test(flavor = "multi_thread")]
async fn confirms_that_never_come_make_a_bounded_number_of_copies() {
    let scene = Scene::new("1s").await;
    scene.relay.confirm_up_to(0);
    let again = |letters: usize| {
        let scene = &scene;
        async move {
            let again = |now: &Scrape| now.publishes("dead_letter", "timed_out") >= letters;
            scene.worker.until_metrics("letters to be published again", again).await
        }
    };
    // The first batch after 10 seconds, then all of them after 20 more.
    let before = again(1).await;
    let after = again(before.publishes("dead_letter", "timed_out") + LETTERS).await;
    let oldest = "oldest_job_in_flight_seconds";
    let between = after.value(oldest) - before.value(oldest);
    assert!(between >= 15, "the time-out did not double: {between} s");
    let (copies, metrics) = scene.released().await;
    let timed_out = metrics.publishes("dead_letter", "timed_out");
    let stored: usize = copies.values().sum();
    assert_eq!(stored, 1 + LETTERS + timed_out, "{copies:?}");
    assert_eq!(copies[&token(FIRST)], 1, "a letter that was confirmed is there twice");
    // One for each channel, and one more if the machine was slow.
    let most = copies.values().max().unwrap();
    assert!((3..=4).contains(most), "{copies:?}");
}

/// The connection is lost with a part of the confirms in: confirmed messages are not published again, and the rest is
/// published once.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_leaves_confirmed_messages_alone() {
    let scene = Scene::in_one_batch("60s").await;
    // A half of the batch on its way, however many it has.
    let confirmed = (scene.confirmed + 1 + LETTERS as u64) / 2;
    scene.relay.confirm_up_to(confirmed);
    scene.relay.confirmed(confirmed).await;
    lose_publishing(&scene.stage).await;
    let (copies, metrics) = scene.released().await;
    assert_eq!(metrics.sessions("connection_lost"), 0, "the consuming session was ended");
    let of = |times: usize| copies.values().filter(|copies| **copies == times).count();
    let confirmed = usize::try_from(confirmed).unwrap();
    assert_eq!((of(1), of(2)), (confirmed, 1 + LETTERS - confirmed), "{copies:?}");
}

/// The same for jobs that `enqueue` publishes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_leaves_the_jobs_alone_that_enqueue_has_confirmed() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let relay = Relay::open_to_broker(stage.broker_address()).await;
    relay.confirm_up_to(CONFIRMED as u64);
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<Vec<u8>> = (0..LETTERS).map(|n| Message::job(&token(FIRST + n)).body).collect();
    fs::write(folder.path().join("jobs.ndjson"), lines.join(&b'\n')).unwrap();
    let enqueue = stage
        .enqueue()
        .set("broker.url", stage.url_by(&relay))
        .folder(folder.path())
        .arg("jobs.ndjson")
        .start();
    let confirmed = until_last_is_on_its_way(&relay, CONFIRMED as u64, LETTERS as u64).await;
    lose_publishing(&stage).await;
    relay.release_confirms();
    assert_eq!(enqueue.exit().await.code(), Some(0), "{}", enqueue.stderr());
    let copies = copies(stage.amqp.take_all(BULK).await);
    let of = |times: usize| copies.values().filter(|copies| **copies == times).count();
    let confirmed = usize::try_from(confirmed).unwrap();
    assert_eq!((of(1), of(2)), (confirmed, LETTERS - confirmed), "{copies:?}");
}

/// The same for dead letters that are replayed.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_leaves_the_dead_letters_alone_that_were_confirmed_in_their_lane() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let letter = |n| Message::job(&token(FIRST + n)).header("x-revoker-reason", text("exhausted"));
    stage.amqp.publish_all(DEAD, (0..LETTERS).map(letter)).await;
    let relay = Relay::open_to_broker(stage.broker_address()).await;
    relay.confirm_up_to(CONFIRMED as u64);
    let command = stage
        .launch("dead-letters")
        .arg("replay")
        .set("broker.url", stage.url_by(&relay))
        .set("broker.confirm_timeout", "60s")
        .start();
    let confirmed = until_last_is_on_its_way(&relay, CONFIRMED as u64, LETTERS as u64).await;
    lose_publishing(&stage).await;
    relay.release_confirms();
    assert_eq!(command.exit().await.code(), Some(0), "{}", command.stderr());
    let copies = copies(stage.amqp.take_all(BULK).await);
    let of = |times: usize| copies.values().filter(|copies| **copies == times).count();
    let confirmed = usize::try_from(confirmed).unwrap();
    assert_eq!((of(1), of(2)), (confirmed, LETTERS - confirmed), "{copies:?}");
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}
