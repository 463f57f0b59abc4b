//! Tests of the source with real files and a real journal, mock settlements, and a paused clock where needed.

use std::{collections::BTreeMap, fs, path::PathBuf, time::SystemTime};

use futures_util::{FutureExt as _, future::join_all};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    domain::{
        Ambiguity, Completion, DeadLetter, History, Job, JobDefaults, MessageMetadata, Outcome,
        Reason, TokenHash,
    },
    input::{Column, Delimiter, InputFormat, InputLine, LineKind, Options},
    ports::{Delivery, Settled},
    sweep::{
        BeginError, OpenedSweep, SweepSettings, begin,
        begin::header,
        close::{close, read_back},
        journal::{JournalState, LineOutcome, LineState},
    },
};

mod input;
mod resuming;

const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    folder: TempDir,
    source: FileSource,
    control: SweepControl,
    counters: Arc<SweepCounters>,
    journal: Journal,
    started_before: u64,
    writing: JoinHandle<()>,
}

fn settings(folder: &TempDir, capacity: usize) -> SweepSettings {
    SweepSettings {
        input: folder.path().join("tokens.txt"),
        journal: Some(folder.path().join("journal")),
        options: Options { format: Some(InputFormat::Text), ..Options::default() },
        endpoint: "https://e".to_owned(),
        force: false,
        retry_failed: false,
        token_hash: TokenHash::Short,
        capacity,
    }
}

/// A folder with a file of this many lines, one token each.
fn tokens(lines: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<String> = (1..=lines).map(|line| format!("t{line}\n")).collect();
    fs::write(folder.path().join("tokens.txt"), content.concat()).unwrap();
    folder
}

fn bench(folder: TempDir, settings: &SweepSettings) -> Bench {
    let OpenedSweep { source, control, writer, journal, counters, started_before, .. } =
        begin(settings).unwrap();
    let writing = tokio::spawn(async move { drop(writer.run().await.unwrap()) });
    Bench { folder, source, control, counters, journal, started_before, writing }
}

fn of_lines(lines: usize, capacity: usize) -> Bench {
    let folder = tokens(lines);
    let settings = settings(&folder, capacity);
    bench(folder, &settings)
}

impl Bench {
    async fn next(&mut self) -> LineDelivery {
        self.source.next().await.unwrap()
    }

    /// Whether the source has no job to deliver at this moment.
    fn is_idle(&mut self) -> bool {
        self.source.next().now_or_never().is_none()
    }

    /// Ends the run. Returns the folder, the journal's state, and whether every line has ended.
    async fn end(mut self) -> (TempDir, JournalState, bool) {
        assert!(self.source.next().await.is_none());
        let end = self.control.take_end();
        let finished =
            close(&self.journal, &self.counters, end.as_ref(), self.started_before).await;
        drop((self.source, self.journal));
        self.writing.await.unwrap();
        let state = read_back(&self.folder.path().join("journal")).unwrap().state;
        (self.folder, state, finished)
    }
}

async fn revoke(delivery: LineDelivery) {
    let history = History { attempts: 1, ..History::default() };
    let settled = delivery.settle(&Outcome::Done(Completion::Revoked), &history, None).await;
    assert_eq!(settled, Settled::Done);
}

async fn park(delivery: LineDelivery, delay: Duration) {
    let history = History {
        attempts: 3,
        stays: 1,
        ambiguity: Some(Ambiguity::Attempt),
        ..History::default()
    };
    assert_eq!(delivery.settle(&Outcome::Parked(delay), &history, None).await, Settled::Done);
}

fn token(delivery: &LineDelivery) -> String {
    let job = delivery.job(&JobDefaults::default()).unwrap();
    job.token.expose_secret().to_owned()
}

fn journal(folder: &TempDir) -> PathBuf {
    folder.path().join("journal")
}

#[tokio::test]
async fn every_line_is_given_out_once_and_then_the_source_ends() {
    const LINES: usize = 5_000;
    const ROOM: usize = 500;
    let mut bench = of_lines(LINES, ROOM);
    let mut in_flight = Vec::new();
    for line in 1..=LINES {
        let delivery = bench.next().await;
        assert_eq!(token(&delivery), format!("t{line}"));
        assert!(!delivery.metadata().redelivered);
        in_flight.push(revoke(delivery));
        if in_flight.len() == ROOM {
            join_all(in_flight.drain(..)).await;
        }
    }
    let (_, state, finished) = bench.end().await;
    assert!(finished);
    assert_eq!(state.outcomes().iter().count(), LINES);
}

/// The mark of a job is on disk before the job is delivered, so a kill at any moment leaves it in doubt.
#[tokio::test]
async fn a_job_is_marked_before_it_is_given_out() {
    let mut bench = of_lines(3, 64);
    let first = bench.next().await;
    let state = read_back(&journal(&bench.folder)).unwrap().state;
    assert_eq!(state.line_state(1), LineState::InDoubt);
    drop(first);
}

#[tokio::test]
async fn no_more_are_in_flight_than_there_is_room_for() {
    let mut bench = of_lines(10, 3);
    let mut in_flight = vec![bench.next().await, bench.next().await, bench.next().await];
    assert!(bench.is_idle());
    revoke(in_flight.remove(0)).await;
    let fourth = bench.next().await;
    assert_eq!(token(&fourth), "t4");
    assert!(bench.is_idle());
}

#[tokio::test(start_paused = true)]
async fn the_flow_is_obeyed() {
    let mut bench = of_lines(10, 3);
    bench.control.want(Demand::None);
    assert!(bench.is_idle());
    bench.control.want(Demand::One);
    let probe = bench.next().await;
    assert!(bench.is_idle(), "one was wanted");
    // The job ended without a call, and a job is still wanted.
    tokio::time::advance(PROBE_EVERY).await;
    let second = bench.next().await;
    assert!(bench.is_idle());
    bench.control.want(Demand::None);
    bench.control.want(Demand::One);
    let third = bench.next().await;
    assert!(bench.is_idle(), "another probe is another one");
    bench.control.want(Demand::All);
    revoke(probe).await;
    let _fourth = bench.next().await;
    assert!(bench.is_idle(), "three are in flight");
    drop((second, third));
}

#[tokio::test(start_paused = true)]
async fn a_parked_job_comes_back_after_its_delay_with_its_history_and_from_its_file() {
    let mut bench = of_lines(2, 3);
    let began = Instant::now();
    park(bench.next().await, HOUR).await;
    revoke(bench.next().await).await;
    let back = bench.next().await;
    assert!(began.elapsed() >= HOUR, "{:?}", began.elapsed());
    assert_eq!(token(&back), "t1");
    let MessageMetadata { history, redelivered, .. } = back.metadata();
    assert_eq!((history.attempts, history.stays), (3, 1));
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
    assert!(!redelivered);
    let LineState::Open(noted) = read_back(&journal(&bench.folder)).unwrap().state.line_state(1)
    else {
        panic!("line 1 has not ended")
    };
    assert!(noted.in_doubt, "killed now, it may have been called again");
    let parked_at = noted.history.parked_at;
    assert!(parked_at.is_some(), "pauses are counted from then on");
    assert_eq!(noted.history, History { parked_at, ..*history });
    revoke(back).await;
    let (_, _, finished) = bench.end().await;
    assert!(finished);
}

/// If the input cannot be read again, its jobs are kept in memory.
#[tokio::test(start_paused = true)]
async fn a_parked_job_of_a_pipe_comes_back_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("tokens.txt");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let filling = std::thread::spawn(move || fs::write(pipe, "t1\nt2\n").unwrap());
    let settings = settings(&folder, 3);
    let mut bench = bench(folder, &settings);
    filling.join().unwrap();
    park(bench.next().await, HOUR).await;
    revoke(bench.next().await).await;
    let back = bench.next().await;
    assert_eq!(token(&back), "t1");
    assert!(bench.source.delayed.is_empty() && bench.source.delayed.kept_bytes() == 0);
    revoke(back).await;
    assert!(bench.end().await.2);
}

/// Delayed jobs return on time, even while the file is still being read.
#[tokio::test(start_paused = true)]
async fn jobs_come_back_amid_the_others() {
    let mut bench = of_lines(20_000, 3);
    park(bench.next().await, Duration::ZERO).await;
    let mut before = 0;
    loop {
        let delivery = bench.next().await;
        let token = token(&delivery);
        revoke(delivery).await;
        if token == "t1" {
            break;
        }
        before += 1;
    }
    assert!(before < 19_999, "it was the last one");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_handed_back_is_given_out_again() {
    let mut bench = of_lines(1, 3);
    let delivery = bench.next().await;
    let history = History { attempts: 2, ..History::default() };
    assert_eq!(delivery.settle(&Outcome::Requeued, &history, None).await, Settled::Requeued);
    let again = bench.next().await;
    assert_eq!(again.metadata().history, history);
    revoke(again).await;
    assert!(bench.end().await.2);
}

/// An interrupted settlement may have reached the disk. So the line is left to the next run, which reads the
/// journal. Nothing marks the line as not called.
#[tokio::test]
async fn a_delivery_that_is_dropped_is_left_to_the_next_run() {
    let mut bench = of_lines(2, 3);
    drop(bench.next().await);
    revoke(bench.next().await).await;
    let counters = Arc::clone(&bench.counters);
    let (_, state, finished) = bench.end().await;
    assert_eq!(counters.counts().unsettled, 1);
    assert!(!finished);
    assert_eq!(state.line_state(1), LineState::InDoubt);
}
