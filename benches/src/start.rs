//! Measures the time to the first revoked job, after a start and after an outage of the broker.

use std::time::{Duration, Instant};

use revoker::{domain::Lane, mock_endpoint::Script};
use tokio::time::{sleep, timeout};

use super::{
    Fallible, broker,
    figures::{median, milliseconds},
    jobs::{Jobs, PARK},
    scene::Stage,
    table::Table,
};

/// How long the broker may take to come back.
const LIMIT: Duration = Duration::from_secs(120);

/// The interval of checking this.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Measures both, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let (mut starts, mut returns) = (Vec::new(), Vec::new());
    for repetition in 1..=stage.options.repetitions {
        starts.push(start(stage).await?);
        eprintln!("start, repetition {repetition}: {:.0} ms", starts[starts.len() - 1]);
        if broker::is_ours() {
            returns.push(back(stage).await?);
            eprintln!("broker back, repetition {repetition}: {:.0} ms", returns[returns.len() - 1]);
        }
    }
    let mut table = Table::new(["to the first job revoked", "ms"]);
    table.row(["from the start of the process".to_owned(), format!("{:.0}", median(starts))]);
    if returns.is_empty() {
        let word = "not measured: the broker is not ours to restart".to_owned();
        table.row(["from the broker's return".to_owned(), word]);
    } else {
        table.row(["from the broker's return".to_owned(), format!("{:.0}", median(returns))]);
    }
    Ok(format!("### Start\n\nA job waits; the endpoint answers at once.\n\n{table}"))
}

/// From the start of the process to the first job revoked, in milliseconds.
async fn start(stage: &Stage) -> Fallible<f64> {
    let scene = stage.set(Script::default()).await?;
    scene.fill(Lane::Interactive, 1).await?;
    let began = Instant::now();
    let worker = stage.start(&scene, &[]).await?;
    let proved = scene.proved("interactive-0").await?;
    scene.strike(worker).await?;
    Ok(milliseconds(proved.saturating_duration_since(began)))
}

/// From the first connection that the broker takes after its death to the first job revoked, in milliseconds.
async fn back(stage: &Stage) -> Fallible<f64> {
    let mut scene = stage.set(Script::default()).await?;
    let worker = stage.start(&scene, &[]).await?;
    broker::kill().await?;
    let restart = tokio::spawn(broker::restart());
    scene.jobs = timeout(LIMIT, async {
        loop {
            match Jobs::declare(&stage.options.broker, scene.family(), &PARK).await {
                Ok(jobs) => break jobs,
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        }
    })
    .await
    .map_err(|_| "the broker does not come back")?;
    let began = Instant::now();
    scene.fill(Lane::Interactive, 1).await?;
    let proved = scene.proved("interactive-0").await?;
    restart.await??;
    scene.strike(worker).await?;
    Ok(milliseconds(proved.saturating_duration_since(began)))
}
