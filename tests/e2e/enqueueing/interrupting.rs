//! It is stopped, killed, cut off or left without its queue, and goes on; and the books balance.

use std::collections::{BTreeMap, BTreeSet};

use super::{Input, counts, ndjson, summary};
use crate::harness::{
    BULK, Launch, Letter, Stage, Worker, eventually, relay::Relay, token, wait::HANG_GUARD,
};

/// Jobs of a file that takes a while at [`RATE`].
const JOBS: u32 = 4000;

/// Jobs per second, so that there is a middle in which to interrupt.
const RATE: u32 = 2000;

/// The same, to count with.
const ALL: usize = JOBS as usize;

/// The most that go out before their confirms are awaited.
const BATCH: usize = 2048;

/// Bytes between two cuts: a fraction of what the whole file takes on its way.
const BETWEEN_CUTS: usize = 50_000;

/// More than go out at once at that rate.
const ON_THE_WAY: usize = RATE as usize / 10;

/// Messages in the queue from which on it is in the middle.
const MIDDLE: u32 = 500;

/// The stage, a way to its broker that can be held and cut, and a file whose enqueueing is under way.
struct Scene {
    stage: Stage,
    relay: Relay,
    input: Input,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        stage.amqp.declare_family().await;
        let relay = Relay::open(stage.broker_address()).await;
        Self { stage, relay, input: Input::new("jobs.ndjson", ndjson(0..ALL)) }
    }

    fn launch(&self) -> Launch {
        self.input.enqueue(&self.stage).set("broker.url", self.stage.url_by(&self.relay))
    }

    /// Waits until some are in the queue; by the rate, others are not.
    async fn until_the_middle(&self) {
        let depth = self.stage.amqp.until_depth(BULK, "fill", |depth| depth.ready >= MIDDLE).await;
        assert!(depth.ready < JOBS, "too late to interrupt");
    }

    /// Publishes the rest, from `line` on, as the interrupted command said; returns how many.
    async fn go_on(&self, line: u64) -> u64 {
        let launch = self.input.enqueue(&self.stage).arg("--from-line").arg(line);
        let (enqueue, status) = launch.run().await;
        assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
        let skipped = summary(&enqueue)["skipped"].as_u64().unwrap();
        let [read, enqueued, refused, duplicates] = counts(&enqueue);
        assert_eq!([skipped, refused, duplicates], [line - 1, 0, 0]);
        assert_eq!(read, u64::from(JOBS));
        enqueued
    }

    /// How often each token is in the queue: all of them once at least.
    async fn all_published(&self) -> BTreeMap<String, usize> {
        let mut tokens = BTreeMap::new();
        for letter in self.stage.amqp.take_all(BULK).await {
            *tokens.entry(letter.token()).or_default() += 1;
        }
        let expected: BTreeSet<String> = (0..ALL).map(token).collect();
        assert_eq!(tokens.keys().cloned().collect::<BTreeSet<_>>(), expected, "a gap");
        tokens
    }
}

/// The line that its last words say to go on from, and the command for that.
fn last_words(enqueue: &Worker) -> (u64, String) {
    let summary = summary(enqueue);
    assert_eq!(summary["finished"], false);
    let command = summary["go_on"].as_str().unwrap().to_owned();
    (summary["next_line"].as_u64().unwrap(), command)
}

/// A signal while the broker confirms nothing: it waits for a moment, says the command that goes on,
/// and every job before that line is in the queue. The books of both runs balance.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_says_how_to_go_on() {
    let mut scene = Scene::new().await;
    let enqueue = scene.launch().arg("--rate").arg(RATE).start();
    scene.until_the_middle().await;
    scene.relay.hold();
    enqueue.signal("INT");
    eventually("the first signal to be heard", async || {
        if enqueue.stderr().contains("interrupted") { Ok(()) } else { Err(enqueue.stderr()) }
    })
    .await;
    assert!(enqueue.exited().is_none(), "nothing was on its way: {}", enqueue.stderr());
    enqueue.signal("INT");
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(1), "{}", enqueue.stderr());
    // What was on its way is lost with the connection.
    scene.relay.close();

    let (line, command) = last_words(&enqueue);
    let expected = format!("revoker enqueue --json jobs.ndjson --rate {RATE} --from-line {line}");
    assert!(command.ends_with(&expected), "{command}");
    assert!(1 < line && line <= u64::from(JOBS), "{line}");
    let [_, first, ..] = counts(&enqueue);
    assert!(first >= line - 1, "{first} enqueued, to go on from {line}");

    let second = scene.go_on(line).await;
    assert_eq!(second, u64::from(JOBS) - (line - 1));
    let tokens = scene.all_published().await;
    let confirmed_twice = first + second - u64::from(JOBS);
    let twice: usize = tokens.values().sum::<usize>() - ALL;
    assert!(twice as u64 >= confirmed_twice, "{twice} twice, {confirmed_twice} confirmed twice");
    assert!(twice <= ON_THE_WAY, "{twice} jobs were published twice");
}

/// A signal while the broker confirms: it ends by itself as soon as what was sent is confirmed, and not
/// one job is published twice.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_in_peace_it_leaves_nothing_open() {
    let scene = Scene::new().await;
    let enqueue = scene.launch().arg("--rate").arg(RATE).start();
    scene.until_the_middle().await;
    enqueue.signal("TERM");
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(1), "{}", enqueue.stderr());
    let (line, _) = last_words(&enqueue);
    let [_, first, ..] = counts(&enqueue);
    assert_eq!(first, line - 1);
    assert_eq!(first + scene.go_on(line).await, u64::from(JOBS));
    assert!(scene.all_published().await.values().all(|times| *times == 1));
}

/// SIGKILL: the last line of progress says from where to go on, and a few jobs are published twice.
#[tokio::test(flavor = "multi_thread")]
async fn killed_it_goes_on_from_its_last_progress() {
    let scene = Scene::new().await;
    let enqueue = scene.launch().arg("--rate").arg(RATE / 6).start();
    let line = eventually("a line of progress", async || {
        let said = enqueue.stderr();
        let (_, rest) = said.split_once("every line before ").ok_or(said.clone())?;
        let (line, _) = rest.split_once(" is dealt with").ok_or(said.clone())?;
        line.parse::<u64>().map_err(|error| error.to_string())
    })
    .await;
    assert!(1 < line && line < u64::from(JOBS), "{line}");
    enqueue.kill().await;
    let depth = scene.stage.amqp.depth(BULK).await.unwrap().ready;
    assert!(u64::from(depth) >= line - 1, "{depth} in the queue, to go on from {line}");
    assert!(depth < JOBS, "it was killed too late");
    scene.go_on(line).await;
    scene.all_published().await;
}

/// The connection is cut in the middle: it connects again and goes on behind the last confirm, without
/// a gap, and with no more duplicates than were on their way.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_leaves_no_gap() {
    let scene = Scene::new().await;
    let enqueue = scene.launch().arg("--rate").arg(RATE).start();
    scene.until_the_middle().await;
    scene.relay.reset();
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert!(enqueue.stderr().contains("cannot be published"), "{}", enqueue.stderr());
    assert_eq!(counts(&enqueue), [u64::from(JOBS), u64::from(JOBS), 0, 0]);
    let twice = scene.all_published().await.values().sum::<usize>() - ALL;
    assert!(twice <= ON_THE_WAY, "{twice} jobs were published twice");
}

/// Without a rate there are thousands on their way as the connection is cut, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_at_full_speed_leaves_no_gap() {
    let scene = Scene::new().await;
    let enqueue = scene.launch().start();
    let mut cuts = 0;
    // By what has gone past, which the relay knows at once: a look at the queue may come too late.
    let cutting = async {
        while enqueue.exited().is_none() && cuts < 3 {
            if scene.relay.carried().octets() > (cuts + 1) * BETWEEN_CUTS {
                scene.relay.reset();
                cuts += 1;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG_GUARD, cutting).await.expect("it neither sends nor ends");
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert!(cuts > 0, "it was never cut");
    assert_eq!(counts(&enqueue), [u64::from(JOBS), u64::from(JOBS), 0, 0]);
    let twice = scene.all_published().await.values().sum::<usize>() - ALL;
    assert!(twice <= cuts * BATCH, "{twice} jobs were published twice");
}

/// The queue is deleted in the middle: what is returned is not counted, the queue is declared again,
/// and every job that comes after is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_is_declared_again() {
    let scene = Scene::new().await;
    let enqueue = scene.launch().arg("--rate").arg(RATE).start();
    scene.until_the_middle().await;
    scene.stage.amqp.delete(BULK).await;
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert!(enqueue.stderr().contains("does not exist"), "{}", enqueue.stderr());
    assert_eq!(counts(&enqueue), [u64::from(JOBS), u64::from(JOBS), 0, 0]);
    let letters = scene.stage.amqp.take_all(BULK).await;
    let first = (0..ALL).position(|n| token(n) == letters[0].token()).unwrap();
    let kept: BTreeSet<String> = letters.iter().map(Letter::token).collect();
    assert_eq!(kept, (first..ALL).map(token).collect(), "a gap behind the deletion");
}
