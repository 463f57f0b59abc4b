//! A backlog that the worker drains, measured without its start and its last jobs.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    Fallible,
    scene::Scene,
    window::{Snapshot, Window},
    worker::Worker,
};

/// The first and the last of each hundred jobs between which is measured.
const FROM: u32 = 10;
const TO: u32 = 95;

/// How long a drain may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Measures while `worker` drains the lanes of `scene`, in which `jobs` waited. Returns when all of them have been
/// called for.
///
/// # Errors
///
/// The worker ends, or does not get done.
pub async fn drain(worker: &mut Worker, scene: &Scene, jobs: u32) -> Fallible<Window> {
    let share = |percent: u32| u64::from(jobs) * u64::from(percent) / 100;
    let ledger = scene.ledger();
    let until = async |calls: u64| {
        timeout(LIMIT, ledger.until(|totals| totals.calls >= calls))
            .await
            .map_err(|_| "the backlog is not drained")
    };
    until(share(FROM)).await?;
    let before = Snapshot::take(ledger, worker)?;
    until(share(TO)).await?;
    let after = Snapshot::take(ledger, worker)?;
    until(jobs.into()).await?;
    Ok(Window::between(&before, &after))
}
