//! The clock of the machine is set while the worker runs.

use std::{fs, path::Path, time::SystemTime};

use crate::{
    chaos::{Area, Case, Evidence, Plan},
    harness::{Worker, eventually},
};

/// The paths of libfaketime in distributions.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];
const HOUR: u64 = 3600;
/// Jobs that come late, enough for some of them to be revoked with any seed.
const LATE: usize = 40;

/// Sets the clock of the processes that read `file`, in one step.
fn step(file: &Path, to: &str) {
    let written = file.with_extension("new");
    fs::write(&written, to).unwrap();
    fs::rename(written, file).unwrap();
}

/// Steps the clock during a third of the jobs. Waits until the worker's time of the last revocation fulfils
/// `condition`, in seconds ahead of our clock.
async fn revoked_after(
    case: &mut Case,
    worker: &Worker,
    file: &Path,
    to: &str,
    what: &str,
    condition: impl Fn(i64) -> bool,
) {
    case.publish(case.part(1.0 / 3.0) - LATE).await;
    step(file, to);
    // A job in flight at the step may end last, with a time from before it. So some jobs are published after
    // all others have ended.
    case.until_settled(&[worker]).await;
    case.publish(LATE).await;
    eventually(what, async || {
        let metrics = worker.metrics().await;
        let at = metrics.value("last_revoked_timestamp_seconds");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let ahead = i64::try_from(at).unwrap() - i64::try_from(now).unwrap();
        if condition(ahead) { Ok(()) } else { Err(format!("{ahead} s ahead")) }
    })
    .await;
}

/// An hour ahead and an hour back, as by an operator or a broken time server: no wait, no deadline and no
/// job depends on the time of day.
#[tokio::test(flavor = "multi_thread")]
async fn clock_stepped_by_an_hour() {
    let half = i64::try_from(HOUR / 2).unwrap();
    let library = LIBRARIES.iter().find(|path| Path::new(path).exists());
    let library = library.expect("libfaketime is there: scripts/install installs it");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clock");
    step(&file, "+0");
    let mut case = Plan::new(Area::Worker, "clock stepped by an hour").begin().await;
    case.launch = case
        .launch
        .environment("LD_PRELOAD", library)
        .environment("FAKETIME_TIMESTAMP_FILE", file.display())
        .environment("FAKETIME_NO_CACHE", 1)
        // A step changes only the wall clock. The monotonic clock of waits continues.
        .environment("FAKETIME_DONT_FAKE_MONOTONIC", 1);
    let worker = case.ready().await;
    let ours = |ahead: i64| ahead.abs() < half;
    revoked_after(&mut case, &worker, &file, "+0", "a revocation in our hour", ours).await;
    let mut steps = 0;
    let hour = format!("+{HOUR}");
    let next = |ahead: i64| ahead > half;
    revoked_after(&mut case, &worker, &file, &hour, "a revocation an hour ahead", next).await;
    steps += 1;
    revoked_after(&mut case, &worker, &file, "+0", "one in our hour again", ours).await;
    steps += 1;
    case.publish_all().await;
    case.close([worker], Evidence::of(steps, "steps seen by the worker"), 0).await;
}
