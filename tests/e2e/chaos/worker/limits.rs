//! The worker reaches a limit of the system.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Command};

use crate::{
    chaos::{Area, Ending, Evidence, Plan},
    harness::{INTERACTIVE, Message, Worker, scrape::Scrape, token},
};

/// Sets a limit of a running process, as `prlimit` names it.
fn limit(worker: &Worker, resource: &str, to: impl std::fmt::Display) {
    let pid = worker.pid().to_string();
    let status = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--{resource}={to}")])
        .status()
        .expect("prlimit is there");
    assert!(status.success(), "the limit could not be set");
}

/// The address space of a process in bytes.
fn address_space(worker: &Worker) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
}

/// No more memory is available, and further messages need some. The worker aborts, as any program without memory does.
/// The next worker has more memory, and finishes.
#[tokio::test(flavor = "multi_thread")]
async fn memory_limit_hit() {
    const HEAVY: usize = 8;
    const HEAVY_BYTES: usize = 4 * 1024 * 1024;
    const SIGABRT: i32 = 6;
    let mut case = Plan::new(Area::Worker, "memory limit hit").jobs(1_000).begin().await;
    // Otherwise the allocator reserves space early, and the limit is not reached.
    case.launch = case.launch.environment("MALLOC_ARENA_MAX", 1);
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_called_for(0.2).await;
    limit(&worker, "as", address_space(&worker) + HEAVY_BYTES / 4);
    for n in 0..HEAVY {
        let heavy = Message::new(vec![b'x'; HEAVY_BYTES]);
        let ending = Ending::Dead(&["invalid_job"]);
        case.publish_own(INTERACTIVE, heavy, &token(1_000 + n), ending).await;
    }
    let status = worker.exit().await;
    assert_eq!(status.signal(), Some(SIGABRT), "{status}: {}", worker.stderr());
    assert!(worker.stderr().contains("memory allocation"), "{}", worker.stderr());
    drop(worker);
    let next = case.ready().await;
    let bound = case.in_flight_at(1);
    case.close([next], Evidence::of(1, "abort without memory"), bound).await;
}

/// Only a quarter of the calls can have a socket. The others fail before they are sent and are retried, and the work
/// continues over the available sockets.
#[tokio::test(flavor = "multi_thread")]
async fn descriptor_limit_hit() {
    let mut case = Plan::new(Area::Worker, "descriptor limit hit").begin().await;
    // Otherwise /proc/PID/fd is unreadable for a test that does not run as root.
    case.launch = case.launch.set("log.level", "debug").set("process.core_dumps", true);
    case.hold_at(0.0);
    let worker = case.ready().await;
    // The publishing connection is opened separately, and needs a socket as well.
    let ending = Ending::Dead(&["invalid_job"]);
    case.publish_own(INTERACTIVE, Message::new(""), &token(1_000), ending).await;
    let confirmed = |metrics: &Scrape| metrics.publishes("dead_letter", "confirmed");
    worker.until_metrics("a letter", |metrics| confirmed(metrics) > 0).await;
    let open = fs::read_dir(format!("/proc/{}/fd", worker.pid())).unwrap().count();
    let limited = open + case.calls_at_a_time() / 4;
    limit(&worker, "nofile", format!("{limited}:"));
    case.publish_all().await;
    // The calls use up all sockets, and none is answered, so the other calls have no socket. The metrics would need one
    // as well.
    worker.until_log_lines("a call got no answer", 1).await;
    case.script.release();
    case.until_called_for(0.5).await;
    limit(&worker, "nofile", format!("{}:", limited + 100));
    let failed = |metrics: &Scrape| metrics.calls("connect");
    let failed = failed(&worker.until_metrics("failed calls", |now| failed(now) > 0).await);
    case.close([worker], Evidence::of(failed, "calls without a socket"), 0).await;
}
