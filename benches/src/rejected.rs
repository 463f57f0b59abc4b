//! An endpoint that rejects everything: every job becomes a dead letter, published and confirmed before it is acked.

use std::time::Duration;

use revoker::{domain::Lane, mock_endpoint::Script};
use tokio::time::{Instant, sleep};

use super::{
    Fallible,
    drain::drain,
    figures::median_of,
    scene::Stage,
    table::{Table, met},
    window::{HEADS, Window},
};

/// Jobs of each measurement.
const JOBS: u32 = 40_000;

/// The aim, in dead letters per second.
const AIM: f64 = 12_000.0;

/// The poll interval for the last dead letter, and the limit.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(30);

/// Measures it, and reports.
///
/// # Errors
///
/// The measurement fails, or a job is not in the dead-letter queue at the end.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let mut windows = Vec::new();
    for repetition in 1..=stage.options.repetitions {
        let jobs = stage.options.scaled(JOBS);
        let scene = stage.set(Script { reject_share: 1.0, ..Script::default() }).await?;
        scene.fill(Lane::Bulk, jobs).await?;
        // A client whose first answers are all rejections would be paused.
        let keys = [("flow.guard.first_rejections", "0".to_owned())];
        let mut worker = stage.start(&scene, &keys).await?;
        let window = drain(&mut worker, &scene, jobs).await?;
        let began = Instant::now();
        while scene.jobs.dead().await? < jobs {
            if began.elapsed() > LIMIT {
                return Err("some dead letters are missing".into());
            }
            sleep(POLL_INTERVAL).await;
        }
        scene.strike(worker).await?;
        eprintln!("rejected, repetition {repetition}: {:.0} dead letters/s", window.throughput);
        windows.push(window);
    }
    let mut table = Table::new(["every job answered"].into_iter().chain(HEADS));
    table.row(["01".to_owned()].into_iter().chain(Window::cells(&windows)));
    let rate = median_of(&windows, |window| window.throughput);
    let met = met(rate >= AIM);
    Ok(format!(
        "### Dead letters\n\nThe endpoint answers at once.\n\n{table}\nAim: at least {AIM:.0} dead letters/s, {met}.\n"
    ))
}
