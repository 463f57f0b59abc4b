//! A backlog that the worker drains, measured without its start and its last jobs.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{
    Fallible,
    scene::Scene,
    usage::Measured,
    window::{Snapshot, Window},
};

/// The percentage of jobs at which the measurement starts and ends.
const FROM: u32 = 10;
const TO: u32 = 95;

/// How long a drain may take.
const LIMIT: Duration = Duration::from_secs(600);

/// The jobs per second of a whole drain, from the first answer to the last, and the figures of its middle.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// The rate with the start, in which the limit rises, and with the last jobs.
    pub whole: f64,
    /// Without them.
    pub middle: Window,
}

/// Measures while `process` drains the lanes of `scene`, in which `jobs` waited. Returns when all of them have been
/// called.
///
/// # Errors
///
/// The process ends, or does not get done.
pub async fn drain(process: &mut impl Measured, scene: &Scene, jobs: u32) -> Fallible<Window> {
    Ok(whole_drain(process, scene, jobs).await?.middle)
}

/// [`drain`], with the rate of the whole.
///
/// # Errors
///
/// The errors of [`drain`].
pub async fn whole_drain(process: &mut impl Measured, scene: &Scene, jobs: u32) -> Fallible<Drain> {
    let share = |percent: u32| u64::from(jobs) * u64::from(percent) / 100;
    let ledger = scene.ledger();
    let until = async |calls: u64| {
        timeout(LIMIT, ledger.until(|totals| totals.calls >= calls))
            .await
            .map_err(|_| "the backlog is not drained")
    };
    until(1).await?;
    let began = Instant::now();
    until(share(FROM)).await?;
    let before = Snapshot::take(ledger, process)?;
    until(share(TO)).await?;
    let after = Snapshot::take(ledger, process)?;
    until(jobs.into()).await?;
    let whole = f64::from(jobs) / began.elapsed().as_secs_f64();
    Ok(Drain { whole, middle: Window::between(&before, &after) })
}
