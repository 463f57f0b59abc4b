//! The source by itself: real files and a real journal, settlements by hand, on a clock that can be
//! paused.

use std::{collections::BTreeMap, fs, path::PathBuf, time::SystemTime};

use futures_util::{FutureExt as _, future::join_all};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    domain::{
        Ambiguity, Completion, DeadLetter, History, JobDefaults, MessageMetadata, Outcome, Reason,
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
        capacity,
    }
}

/// A folder with one token on each of so many lines.
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

    /// Whether the source has a job to give out at this moment.
    fn is_idle(&mut self) -> bool {
        self.source.next().now_or_never().is_none()
    }

    /// The end of the run; the folder to go on with, and what its journal says.
    async fn end(mut self) -> (TempDir, JournalState, bool) {
        assert!(self.source.next().await.is_none());
        let end = self.control.take_end();
        let finished =
            close(&self.journal, &self.counters, end.as_ref(), self.started_before).await;
        drop((self.source, self.journal));
        self.writing.await.unwrap();
        let state = read_back(&self.folder.path().join("journal")).unwrap();
        (self.folder, state, finished)
    }
}

async fn revoke(delivery: LineDelivery) {
    let history = History { attempts: 1, ..History::default() };
    let settled = delivery.settle(&Outcome::Done(Completion::Revoked), &history).await;
    assert_eq!(settled, Settled::Done);
}

async fn park(delivery: LineDelivery, delay: Duration) {
    let history = History {
        attempts: 3,
        stays: 1,
        ambiguity: Some(Ambiguity::Attempt),
        ..History::default()
    };
    assert_eq!(delivery.settle(&Outcome::Parked(delay), &history).await, Settled::Done);
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

/// The mark of a job is on disk before anybody holds the job, so a kill at any moment leaves it in doubt.
#[tokio::test]
async fn a_job_is_marked_before_it_is_given_out() {
    let mut bench = of_lines(3, 64);
    let first = bench.next().await;
    let state = read_back(&journal(&bench.folder)).unwrap();
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
    // It ended without a call, and one is still wanted.
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
    let LineState::Open(noted) = read_back(&journal(&bench.folder)).unwrap().line_state(1) else {
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

/// Where the input cannot be read again, its jobs are kept.
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

/// What is put off comes in time although the file is still being read.
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
    assert_eq!(delivery.settle(&Outcome::Requeued, &history).await, Settled::Requeued);
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

/// After an orderly stop, a sweep knows which marked lines were not called. Only lines from an earlier run may
/// have been called.
#[tokio::test(start_paused = true)]
async fn an_orderly_stop_leaves_no_doubt() {
    let mut bench = of_lines(100, 3);
    revoke(bench.next().await).await;
    park(bench.next().await, HOUR).await;
    bench.control.stop();
    let (folder, state, finished) = bench.end().await;
    assert!(!finished);
    assert_eq!(state.line_state(1), LineState::Ended(LineOutcome::Ended(Completion::Revoked)));
    assert!(matches!(state.line_state(2), LineState::Open(open) if !open.in_doubt));
    assert_eq!(state.line_state(3), LineState::Fresh);

    let settings = settings(&folder, 3);
    let mut bench = self::bench(folder, &settings);
    let second = bench.next().await;
    assert_eq!((token(&second).as_str(), second.metadata().history.attempts), ("t2", 3));
    revoke(second).await;
    let third = bench.next().await;
    assert_eq!(token(&third), "t3");
    assert!(!third.metadata().redelivered);
}

/// Jobs were requeued and not delivered again before the stop. The journal had marked them as possibly called, and
/// removes that mark.
#[tokio::test(start_paused = true)]
async fn what_was_not_called_again_is_put_back() {
    let mut bench = of_lines(3, 3);
    for _ in 0..3 {
        park(bench.next().await, HOUR).await;
    }
    let first = bench.next().await;
    revoke(first).await;
    bench.control.stop();
    let (_, state, _) = bench.end().await;
    for line in [2, 3] {
        assert!(
            matches!(state.line_state(line), LineState::Open(open) if !open.in_doubt),
            "{line}"
        );
    }
}

/// After a kill, the delivered jobs may have been called. They stay marked so until they end, even after an
/// orderly stop.
#[tokio::test]
async fn what_a_killed_run_had_marked_is_redelivered() {
    let mut first = of_lines(3, 3);
    revoke(first.next().await).await;
    drop((first.next().await, first.next().await));
    drop((first.source, first.journal));
    first.writing.await.unwrap();

    let settings = settings(&first.folder, 3);
    let mut second = bench(first.folder, &settings);
    let delivery = second.next().await;
    assert_eq!(token(&delivery), "t2");
    assert!(delivery.metadata().redelivered);
    revoke(delivery).await;
    second.control.stop();
    let (folder, state, _) = second.end().await;
    assert_eq!(state.line_state(3), LineState::InDoubt);

    let mut third = bench(folder, &settings);
    let delivery = third.next().await;
    assert_eq!(token(&delivery), "t3");
    assert!(delivery.metadata().redelivered);
    revoke(delivery).await;
    assert!(third.end().await.2);
}

#[tokio::test]
async fn failed_lines_are_taken_up_again_when_asked_for() {
    let mut first = of_lines(2, 3);
    let letter = DeadLetter {
        reason: Reason::RejectedAfterAmbiguity,
        detail: "no".to_owned(),
        code: None,
        http_status: None,
        fingerprint: None,
        dead_at: SystemTime::UNIX_EPOCH,
    };
    let history = History { ambiguity: Some(Ambiguity::Attempt), ..History::default() };
    first.next().await.settle(&Outcome::DeadLettered(letter), &history).await;
    revoke(first.next().await).await;
    let (folder, state, finished) = first.end().await;
    assert!(finished, "a failure is an end");
    let reason = Reason::RejectedAfterAmbiguity;
    assert_eq!(
        state.line_state(1),
        LineState::Ended(LineOutcome::Failed(reason, Some(Ambiguity::Attempt)))
    );

    let once = settings(&folder, 3);
    let (folder, _, finished) = bench(folder, &once).end().await;
    assert!(finished, "nothing is left to do");

    let again = SweepSettings { retry_failed: true, ..once };
    let mut bench = bench(folder, &again);
    assert_eq!(bench.counters.counts().lines.failed(), 1);
    let delivery = bench.next().await;
    assert_eq!(token(&delivery), "t1");
    assert_eq!(delivery.metadata().history.ambiguity, Some(Ambiguity::Attempt));
    assert_eq!(bench.counters.counts().lines.failed(), 0);
    revoke(delivery).await;
    let (_, state, finished) = bench.end().await;
    assert!(finished);
    assert_eq!(state.line_state(1), LineState::Ended(LineOutcome::Ended(Completion::Revoked)));
}

/// The second line has a token that the journal proves revoked. Its expiry differs, so the reader of the file
/// does not drop it as a duplicate.
#[tokio::test]
async fn what_the_journal_proves_is_not_called_on_another_line_either() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("tokens.txt");
    let lines =
        "{\"refresh_token\":\"t1\"}\n{\"refresh_token\":\"t1\",\"expires_at\":9999999999}\n";
    fs::write(&input, lines).unwrap();
    let options = Options {
        format: Some(InputFormat::Ndjson),
        defaults: JobDefaults::default(),
        ..Options::default()
    };
    let settings = SweepSettings { options, ..settings(&folder, 3) };
    let mut first = bench(folder, &settings);
    revoke(first.next().await).await;
    first.control.stop();
    let (folder, ..) = first.end().await;
    let (_, state, finished) = bench(folder, &settings).end().await;
    assert!(finished);
    assert_eq!(state.line_state(2), LineState::Ended(LineOutcome::Ended(Completion::Duplicate)));
}

#[tokio::test]
async fn lines_that_need_no_call_have_entries_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(101);
    fs::write(folder.path().join("tokens.txt"), format!("t1\n\nt1\n{long}\n")).unwrap();
    let settings = settings(&folder, 3);
    let mut bench = bench(folder, &settings);
    revoke(bench.next().await).await;
    let (_, state, finished) = bench.end().await;
    assert!(finished);
    let ended = |line| match state.line_state(line) {
        LineState::Ended(outcome) => Some(outcome),
        _ => None,
    };
    assert_eq!(ended(2), None, "a blank line is no line");
    assert_eq!(ended(3), Some(LineOutcome::Repeated));
    assert_eq!(ended(4), Some(LineOutcome::Failed(Reason::InvalidJob, None)));
}

#[tokio::test(start_paused = true)]
async fn an_input_that_changes_under_the_sweep_ends_it() {
    let mut bench = of_lines(2, 3);
    park(bench.next().await, HOUR).await;
    revoke(bench.next().await).await;
    fs::write(bench.folder.path().join("tokens.txt"), "another\nfile\n").unwrap();
    assert!(bench.source.next().await.is_none());
    match bench.control.take_end() {
        Some(SourceEnd::Failed(LoadError::Input(InputFault::Changed))) => {}
        other => panic!("{other:?}"),
    }
}

/// An input without a line is most likely another one than was meant.
#[test]
fn an_input_without_a_line_is_refused_and_leaves_no_journal() {
    let folder = tokens(0);
    let refusal = begin(&settings(&folder, 3)).err().unwrap();
    assert!(refusal.is_usage(), "{refusal}");
    assert!(!journal(&folder).exists());
}

/// What is no file and has no journal of its own is told from what is not there at all.
#[test]
fn an_input_that_is_not_there_is_no_pipe() {
    let folder = tokens(1);
    let nameless = |input: PathBuf| {
        let refusal =
            begin(&SweepSettings { input, journal: None, ..settings(&folder, 3) }).err().unwrap();
        assert!(refusal.is_usage(), "{refusal}");
        refusal
    };
    assert!(matches!(nameless("-".into()), BeginError::NoJournal));
    assert!(matches!(nameless("/dev/null".into()), BeginError::NoJournal));
    for (input, expected) in [
        (folder.path().join("nowhere.txt"), "there is no such file"),
        (folder.path().to_owned(), "it is a directory"),
    ] {
        match nameless(input) {
            BeginError::Input { source, .. } => {
                assert!(source.to_string().contains(expected), "{source}");
            }
            other => panic!("{other}"),
        }
    }
}

/// To the journal two lines of one number are one line: nothing of such a block is written or given out.
#[test]
fn a_block_whose_lines_are_not_in_order_is_refused() {
    let state = JournalState::new(header(&settings(&tokens(1), 1)).unwrap().0);
    let counters = Arc::<SweepCounters>::default();
    let mut scan = Scan::new(Arc::new(state), Arc::clone(&counters), false);
    let line =
        |number| InputLine { number, last_line: number, marked: false, kind: LineKind::Duplicate };
    let now = SystemTime::UNIX_EPOCH;
    assert_eq!(scan.block(vec![line(1), line(2)], now).unwrap().records.len(), 3);
    let fault = scan.block(vec![line(3), line(3)], now).err().unwrap();
    assert_eq!((fault.line, fault.before), (3, 3));
    assert!(scan.block(vec![line(2)], now).is_err(), "behind the block before");
    assert_eq!(counters.counts().read, 2);
}

/// The journal's settings, so that a run with other ones is noticed.
#[test]
fn the_settings_that_make_jobs_of_lines_are_in_the_header() {
    let folder = tokens(1);
    let mut settings = settings(&folder, 1);
    settings.options.field_defaults.username = Some("u".to_owned());
    // Said, and no other than what goes without saying.
    settings.options.columns = vec!["refresh_token=Refresh_Token".parse().unwrap()].into();
    settings.options.delimiter = Some(Delimiter::Comma);
    settings.options.defaults.audience = "a".into();
    let (header, _) = header(&settings).unwrap();
    let expected = [("format", "text"), ("audience", "a"), ("username", "u")];
    let expected: BTreeMap<String, String> =
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(header.settings, expected);
}

/// The same file with another column or delimiter is other jobs.
#[test]
fn columns_and_delimiter_are_in_the_header_where_they_change_the_jobs() {
    let folder = tokens(1);
    let mut settings = settings(&folder, 1);
    settings.options.format = None;
    settings.input = folder.path().join("tokens");
    fs::write(&settings.input, "token;mail\nt1;m\n").unwrap();
    let columns = ["username=Mail", "refresh_token=token"];
    settings.options.columns =
        columns.map(|column| column.parse::<Column>().unwrap()).to_vec().into();
    settings.options.delimiter = Some(Delimiter::Semicolon);
    let (header, _) = header(&settings).unwrap();
    let expected = [
        ("format", "csv"),
        ("audience", ""),
        ("columns", "refresh_token=token,username=mail"),
        ("delimiter", "semicolon"),
    ];
    let expected: BTreeMap<String, String> =
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(header.settings, expected);
}
