//! SIGKILL.

use crate::chaos::{Area, Evidence, Plan, sized};

/// Killed again and again, at moments that are drawn: another one takes its place each time.
#[tokio::test(flavor = "multi_thread")]
async fn sigkill_at_random() {
    let (jobs, kills) = sized((3_000, 6), (100_000, 200));
    let plan = Plan::new(Area::Worker, "SIGKILL at random").jobs(jobs);
    let mut trial = plan.prefetch(64).concurrency(32).begin().await;
    trial.publish_all().await;
    let mut worker = trial.ready().await;
    for kill in 1..=kills {
        // Somewhere in this kill's share of the work; the last share is left for the survivor.
        let share = jobs / (kills + 1);
        let at = share * (kill - 1) + trial.chance.usize(1..share);
        trial.endpoint.until_count(at).await;
        worker.kill().await;
        worker = trial.start();
    }
    let bound = trial.in_hand_at(kills);
    trial.close([worker], Evidence::of(kills, "kills"), bound).await;
}
