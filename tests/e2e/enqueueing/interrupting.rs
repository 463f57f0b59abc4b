//! Tests of an enqueue that is interrupted, killed, disconnected, or loses its queue. It continues, and its counts
//! balance.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{Input, counts, ndjson, summary};
use crate::harness::{BULK, Launch, Stage, StoredMessage, Worker, eventually, relay::Relay, token};

/// Jobs of the file.
const JOBS: u32 = 4000;

/// Jobs per second, so that few go out at once.
const RATE: u32 = 2000;

/// The same number as `usize`.
const ALL: usize = JOBS as usize;

/// The most jobs that are sent before their confirms are awaited.
const BATCH: usize = 2048;

/// How often a connection at full speed is cut.
const CUTS: usize = 3;

/// Bytes between two cuts: a fraction of the whole file's bytes.
const BETWEEN_CUTS: usize = 50_000;

/// More jobs than are sent at once at that rate.
const ON_THE_WAY: usize = RATE as usize / 10;

/// The bytes at the middle of the file: many jobs are confirmed by then, and many are left.
const MIDDLE: usize = 200_000;

/// How long it waits for confirms after the first signal.
const GRACE: Duration = Duration::from_secs(5);

/// A stage, a relay to its broker that can hold and cut, and a file that is being enqueued.
struct Scene {
    stage: Stage,
    relay: Relay,
    input: Input,
}

impl Scene {
    async fn new() -> Self {
        Self::of(Input::new("jobs.ndjson", ndjson(0..ALL))).await
    }

    async fn of(input: Input) -> Self {
        let stage = Stage::new().await;
        stage.amqp.declare_family().await;
        let relay = Relay::open(stage.broker_address()).await;
        Self { stage, relay, input }
    }

    fn launch(&self) -> Launch {
        self.input
            .enqueue(&self.stage)
            .set("broker.url", self.stage.url_by(&self.relay))
            // The longest allowed, because a test may need long while the relay holds.
            .set("broker.confirm_timeout", "60s")
            .set("broker.heartbeat", "10m")
    }

    /// Starts it, and holds the relay in the middle of the file, with unconfirmed jobs.
    async fn held_in_the_middle(&self) -> Worker {
        self.relay.hold_after(MIDDLE);
        let enqueue = self.launch().arg("--rate").arg(RATE).start();
        self.relay.held().await;
        enqueue
    }

    /// Publishes the rest from `line` on, as the interrupted command suggested. Returns the number of jobs.
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

/// Sends the first signal. Returns the time, once the signal is handled.
async fn interrupted(enqueue: &Worker, signal: &str) -> Instant {
    let signalled = Instant::now();
    enqueue.signal(signal);
    eventually("the first signal to be heard", async || {
        if enqueue.stderr().contains("interrupted") { Ok(()) } else { Err(enqueue.stderr()) }
    })
    .await;
    signalled
}

/// The line to resume from and the command for it, from the last output.
fn last_words(enqueue: &Worker) -> (u64, String) {
    let summary = summary(enqueue);
    assert_eq!(summary["finished"], false);
    let command = summary["go_on"].as_str().unwrap().to_owned();
    (summary["next_line"].as_u64().unwrap(), command)
}

/// A signal while the broker confirms nothing. The command waits for a moment and prints the command that resumes, and
/// every job before that line is in the queue. The counts of both runs balance.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_says_how_to_go_on() {
    let mut scene = Scene::new().await;
    let enqueue = scene.held_in_the_middle().await;
    let signalled = interrupted(&enqueue, "INT").await;
    let waits = enqueue.exited().is_none() || signalled.elapsed() >= GRACE;
    assert!(waits, "it did not wait for what was on its way: {}", enqueue.stderr());
    enqueue.signal("INT");
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(1), "{}", enqueue.stderr());
    // Jobs in flight are lost with the connection.
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

/// A signal while the broker confirms. The command ends as soon as all sent jobs are confirmed. It publishes no job
/// twice, unless the confirms take longer than its grace.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_in_peace_it_leaves_nothing_open() {
    let scene = Scene::new().await;
    let enqueue = scene.held_in_the_middle().await;
    let signalled = interrupted(&enqueue, "TERM").await;
    scene.relay.release();
    let status = enqueue.exit().await;
    let in_peace = signalled.elapsed() < GRACE;
    assert_eq!(status.code(), Some(1), "{}", enqueue.stderr());
    let (line, _) = last_words(&enqueue);
    let [_, first, ..] = counts(&enqueue);
    let second = scene.go_on(line).await;
    assert_eq!(second, u64::from(JOBS) - (line - 1));
    let twice = scene.all_published().await.values().sum::<usize>() - ALL;
    assert!(twice <= ON_THE_WAY, "{twice} jobs were published twice");
    if in_peace {
        assert_eq!((first, twice), (line - 1, 0));
    }
}

/// Lines that end with carriage returns, like those of a spreadsheet on a Mac, can be resumed from. No unpublished line
/// is skipped.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_end_with_a_carriage_return_are_resumed() {
    let rows: Vec<String> = (0..ALL).map(token).collect();
    let file = format!("refresh_token\r{}", rows.join("\r"));
    let scene = Scene::of(Input::new("leak.csv", file)).await;
    let enqueue = scene.held_in_the_middle().await;
    interrupted(&enqueue, "TERM").await;
    scene.relay.release();
    assert_eq!(enqueue.exit().await.code(), Some(1), "{}", enqueue.stderr());
    let (line, _) = last_words(&enqueue);
    let [_, first, ..] = counts(&enqueue);
    assert!(0 < first && first < u64::from(JOBS), "{first} of all were published");
    // The header row stands on the first line.
    assert!(2 < line && line <= first + 2, "{line} after {first}");

    let launch = scene.input.enqueue(&scene.stage).arg("--from-line").arg(line);
    let (enqueue, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert_eq!(summary(&enqueue)["skipped"], line - 2);
    assert_eq!(counts(&enqueue)[..2], [u64::from(JOBS), u64::from(JOBS) - (line - 2)]);
    scene.all_published().await;
}

/// After SIGKILL, the last progress line names the line to resume from, and a few jobs are published twice.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_it_resumes_from_its_last_progress() {
    let scene = Scene::new().await;
    let enqueue = scene.held_in_the_middle().await;
    let line = eventually("a line of progress", async || {
        let said = enqueue.stderr();
        let (_, rest) = said.rsplit_once("every line before ").ok_or(said.clone())?;
        let (line, _) = rest.split_once(" is finished").ok_or(said.clone())?;
        let line = line.parse::<u64>().map_err(|error| format!("{error} in {said}"))?;
        // The first ones may have come before the first confirm.
        if line > 1 { Ok(line) } else { Err(said) }
    })
    .await;
    assert!(line < u64::from(JOBS), "{line}");
    enqueue.kill().await;
    let depth = scene.stage.amqp.depth(BULK).await.unwrap().ready;
    assert!(u64::from(depth) >= line - 1, "{depth} in the queue, to go on from {line}");
    assert!(depth < JOBS, "it was killed too late");
    scene.go_on(line).await;
    scene.all_published().await;
}

/// The connection is cut in the middle. The command reconnects and continues after the last confirm, without a gap.
/// Duplicates do not exceed the unconfirmed jobs.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_leaves_no_gap() {
    let scene = Scene::new().await;
    let enqueue = scene.held_in_the_middle().await;
    scene.relay.reset();
    scene.relay.release();
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert!(enqueue.stderr().contains("cannot be published"), "{}", enqueue.stderr());
    assert_eq!(counts(&enqueue), [u64::from(JOBS), u64::from(JOBS), 0, 0]);
    let twice = scene.all_published().await.values().sum::<usize>() - ALL;
    assert!(twice <= ON_THE_WAY, "{twice} jobs were published twice");
}

/// Without a rate, thousands of jobs are unconfirmed at each cut of the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_at_full_speed_leaves_no_gap() {
    let scene = Scene::new().await;
    scene.relay.hold_after(BETWEEN_CUTS);
    let enqueue = scene.launch().start();
    for cut in 1..=CUTS {
        scene.relay.held().await;
        if cut < CUTS {
            scene.relay.hold_after(BETWEEN_CUTS);
        }
        scene.relay.reset();
        scene.relay.release();
    }
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert_eq!(counts(&enqueue), [u64::from(JOBS), u64::from(JOBS), 0, 0]);
    let twice = scene.all_published().await.values().sum::<usize>() - ALL;
    assert!(twice <= CUTS * BATCH, "{twice} jobs were published twice");
}

/// The queue is deleted in the middle. Returned jobs are not counted, the queue is declared again, and every later job
/// is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_is_declared_again() {
    let scene = Scene::new().await;
    let enqueue = scene.held_in_the_middle().await;
    scene.stage.amqp.delete(BULK).await;
    scene.relay.release();
    let status = enqueue.exit().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert!(enqueue.stderr().contains("does not exist"), "{}", enqueue.stderr());
    assert_eq!(counts(&enqueue), [u64::from(JOBS), u64::from(JOBS), 0, 0]);
    let letters = scene.stage.amqp.take_all(BULK).await;
    let kept: BTreeSet<String> = letters.iter().map(StoredMessage::token).collect();
    // Returned jobs are published again behind others, so the first job in the queue may not be the lowest.
    let first = (0..ALL).find(|n| kept.contains(&token(*n))).unwrap();
    assert_eq!(kept, (first..ALL).map(token).collect(), "a gap behind the deletion");
}
