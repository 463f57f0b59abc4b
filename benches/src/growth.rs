//! Backlogs of growing length: measures whether the cost of a job and the memory stay the same.

use revoker::{domain::Lane, mock_endpoint::Script};

use super::{
    Fallible,
    drain::drain,
    scene::Stage,
    table::Table,
    window::{HEADS, Window},
};

/// The backlogs.
const BACKLOGS: [u32; 3] = [10_000, 100_000, 1_000_000];

/// Measures each once, because the longest takes minutes, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let mut table = Table::new(["backlog"].into_iter().chain(HEADS));
    for backlog in BACKLOGS {
        let jobs = stage.options.scaled(backlog);
        let scene = stage.set(Script::default()).await?;
        scene.fill(Lane::Bulk, jobs).await?;
        let mut worker = stage.start(&scene, &[]).await?;
        let window = drain(&mut worker, &scene, jobs).await?;
        scene.strike(worker).await?;
        eprintln!("growth, {jobs}: {:.0} jobs/s, {:.0} MiB", window.throughput, window.peak_rss);
        table.row([jobs.to_string()].into_iter().chain(Window::cells(&[window])));
    }
    Ok(format!("### A growing backlog\n\nThe endpoint answers at once.\n\n{table}"))
}
