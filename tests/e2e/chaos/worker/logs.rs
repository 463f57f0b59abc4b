//! The worker's log is not read: the worker continues without it.

use std::fs;

use crate::chaos::{Area, Evidence, Plan, sized};

/// The capacity of a pipe in bytes. A process that writes more without a reader is blocked.
const PIPE: usize = 64 * 1024;

/// The reader of the log stops reading.
#[tokio::test(flavor = "multi_thread")]
async fn log_pipe_blocked() {
    let plan = Plan::new(Area::Worker, "log pipe blocked").jobs(sized(1_000, 5_000));
    let mut case = plan.begin().await;
    case.launch = case.launch.set("log.level", "trace");
    let worker = case.ready().await;
    worker.ignore_stderr();
    case.publish_all().await;
    case.until_settled(&[&worker]).await;
    let read = worker.stderr().len();
    worker.hear_stderr();
    let late = crate::harness::eventually("the rest of the log", async || {
        let late = worker.stderr().len() - read;
        if late > 2 * PIPE { Ok(late) } else { Err(format!("{late} bytes")) }
    })
    .await;
    let evidence = Evidence::of(late / PIPE, "pipes full of log that waited");
    case.close([worker], evidence, 0).await;
}

/// Every write of the log fails.
#[tokio::test(flavor = "multi_thread")]
async fn log_disk_full() {
    const FULL: &str = "/dev/full";
    let mut case = Plan::new(Area::Worker, "log disk full").begin().await;
    case.launch = case.launch.set("log.level", "trace").after(&format!("exec 2>{FULL}"));
    // Otherwise /proc/PID/fd is unreadable for a test that does not run as root.
    case.launch = case.launch.set("process.core_dumps", true);
    case.publish_all().await;
    let worker = case.ready().await;
    let log = fs::read_link(format!("/proc/{}/fd/2", worker.pid())).unwrap();
    let full = usize::from(log.to_str() == Some(FULL));
    case.close([worker], Evidence::of(full, "log on a full disk from the start"), 0).await;
}
