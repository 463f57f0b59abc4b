//! A crash of a process with live tokens writes none of them to disk.

use std::{fs, os::unix::process::ExitStatusExt as _, path::Path};

use crate::harness::{
    Answer, Endpoint, Gate, INTERACTIVE, Launch, Message, Stage, Swept, Worker, token,
};

/// The shell command that enables core dumps, as on many machines.
const WANTED: &str = "ulimit -c unlimited";

/// Ends a process as a crash would; returns whether the system wrote a core dump.
async fn crash(worker: &Worker, signal: &str) -> bool {
    worker.signal(signal);
    let status = worker.exit().await;
    assert!(status.signal().is_some(), "it ended by itself: {status}");
    status.core_dumped()
}

/// The files of a folder that hold a token.
fn files_with(folder: &Path, token: &str) -> usize {
    let holds = |path: &Path| {
        let content = fs::read(path).unwrap();
        content.windows(token.len()).any(|part| part == token.as_bytes())
    };
    fs::read_dir(folder).unwrap().filter(|file| holds(&file.as_ref().unwrap().path())).count()
}

/// Crashes a worker in the middle of a call; returns whether there is a dump, and how many files of its
/// folder hold the token.
async fn crashed_worker(signal: &str, change: impl Fn(Launch) -> Launch) -> (bool, usize) {
    let stage = Stage::new().await;
    let gate = Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::revoked().after(&held)).await;
    let folder = tempfile::tempdir().unwrap();
    let launch = stage.run(&endpoint).after(WANTED).folder(folder.path());
    let worker = change(launch).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    endpoint.until_count(1).await;
    let dumped = crash(&worker, signal).await;
    gate.open();
    (dumped, files_with(folder.path(), &token(1)))
}

/// No crash leaves a dump, although the machine would write one. (The standard library's handler for SIGSEGV and SIGBUS
/// consumes the first one that is merely sent.)
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_crashes_leaves_no_core_dump() {
    for signal in ["ABRT", "ILL", "TRAP"] {
        assert_eq!(crashed_worker(signal, |launch| launch).await, (false, 0), "{signal}");
    }
}

/// With the setting there is a core dump and it holds the token: this proves that the machine writes one.
#[tokio::test(flavor = "multi_thread")]
async fn a_core_dump_can_be_had_by_the_switch() {
    let (dumped, files) =
        crashed_worker("ABRT", |launch| launch.set("process.core_dumps", true)).await;
    assert!(
        dumped,
        "there is none: does this machine allow any (ulimit -Hc, kernel.core_pattern)?"
    );
    // Otherwise the dump goes to a program or to another folder.
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let in_folder = !pattern.starts_with(['|', '/', '@']);
    assert!(!in_folder || files == 1, "{files} files hold the token");
}

/// A sweep holds as many tokens as a worker.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_crashes_leaves_no_core_dump() {
    for (allowed, dumped) in [(false, false), (true, true)] {
        let gate = Gate::default();
        let held = gate.clone();
        let endpoint = Endpoint::start(move |_| Answer::revoked().after(&held)).await;
        let folder = tempfile::tempdir().unwrap();
        let swept = Swept::tokens(1);
        let launch = swept.launch(&endpoint).after(WANTED).folder(folder.path());
        let sweep = launch.set("process.core_dumps", allowed).start();
        endpoint.until_count(1).await;
        assert_eq!(crash(&sweep, "ABRT").await, dumped, "process.core_dumps = {allowed}");
        gate.open();
    }
}

/// The metrics of the process come from `/proc/self`, which it can still read.
#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_the_process_are_there_without_core_dumps() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let text = worker.metrics().await.text;
    for name in ["process_open_fds", "process_resident_memory_bytes", "process_max_fds"] {
        let value =
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{name}: {value:?}");
    }
    worker.stop().await;
}
