//! The system gives the worker no more of something.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Command};

use crate::{
    chaos::{Area, Ending, Evidence, Plan},
    harness::{INTERACTIVE, Message, Worker, scrape::Scrape, token},
};

/// A limit of a process that runs, as `prlimit` names it.
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

/// No more memory, and then messages that need some: it aborts in the middle of its work, as any program
/// does that the system refuses memory. The next one has more, and finishes.
#[tokio::test(flavor = "multi_thread")]
async fn memory_limit_hit() {
    const HEAVY: usize = 8;
    const HEAVY_BYTES: usize = 4 * 1024 * 1024;
    const SIGABRT: i32 = 6;
    let mut case = Plan::new(Area::Worker, "memory limit hit").jobs(1_000).begin().await;
    // Otherwise the allocator has reserved space beforehand, and the limit is far away.
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

/// No more sockets than a quarter of the calls need: the rest fail before they are sent and are tried
/// again, and the work goes on over those that there are.
#[tokio::test(flavor = "multi_thread")]
async fn descriptor_limit_hit() {
    let mut case = Plan::new(Area::Worker, "descriptor limit hit").begin().await;
    // Else /proc/PID/fd is closed to whoever runs this and is not root.
    case.launch = case.launch.set("log.level", "debug").set("process.core_dumps", true);
    case.hold_at(0.0);
    let worker = case.ready().await;
    // The connection for letters is made beside the other, and must have its socket as well.
    let ending = Ending::Dead(&["invalid_job"]);
    case.publish_own(INTERACTIVE, Message::new(""), &token(1_000), ending).await;
    let confirmed = |metrics: &Scrape| metrics.publishes("dead_letter", "confirmed");
    worker.until_metrics("a letter", |metrics| confirmed(metrics) > 0).await;
    let open = fs::read_dir(format!("/proc/{}/fd", worker.pid())).unwrap().count();
    let limited = open + case.calls_at_a_time() / 4;
    limit(&worker, "nofile", format!("{limited}:"));
    case.publish_all().await;
    // As many calls as it may make, and none of them is answered: there is no socket for the rest. Its
    // metrics would need one as well.
    worker.until_log_lines("a call got no answer", 1).await;
    case.script.release();
    case.until_called_for(0.5).await;
    limit(&worker, "nofile", format!("{}:", limited + 100));
    let failed = |metrics: &Scrape| metrics.calls("connect");
    let failed = failed(&worker.until_metrics("failed calls", |now| failed(now) > 0).await);
    case.close([worker], Evidence::of(failed, "calls without a socket"), 0).await;
}
