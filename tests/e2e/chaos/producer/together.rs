//! All nuisances at once, under one worker.

use super::{Fate, malformed::MALFORMED, steering::STEERING, tokens::CONTROL_CHARACTERS};
use crate::{
    chaos::{Area, Evidence, Plan, plan::lawful, sized},
    harness::Stage,
};

#[tokio::test(flavor = "multi_thread")]
async fn all_nuisances_together() {
    let each = sized(4, 40);
    let plan = Plan::new(Area::Producer, "all of these together").jobs(sized(200, 5_000));
    let mut trial = plan.begin_on(Stage::new().await, lawful).await;
    let all = || MALFORMED.iter().chain(&STEERING).chain([&CONTROL_CHARACTERS]);
    let kinds = all().count();
    let good = trial.part(1.0) / kinds;
    for (nth, nuisance) in all().enumerate() {
        nuisance.mix_in(&mut trial, nth * each, each, good).await;
    }
    trial.publish_all().await;
    let invalid = all().filter(|nuisance| nuisance.fate == Fate::Invalid).count() * each;
    let calls = trial.part(1.0) + kinds * each - invalid;
    let worker = trial.ready().await;
    trial.endpoint.until_count(calls).await;
    for (nth, nuisance) in all().enumerate() {
        let _ = nuisance.fired(&trial, nth * each, each);
    }
    let metrics = worker
        .until_metrics("every body that is no job", |metrics| {
            ["interactive", "bulk"]
                .map(|lane| {
                    let labels = format!("{{lane=\"{lane}\",reason=\"invalid_job\"}}");
                    metrics.value(&format!("revocations_failed_total{labels}"))
                })
                .iter()
                .sum::<usize>()
                == invalid
        })
        .await;
    let sessions = ["connection_lost", "channel_closed", "consumer_cancelled"];
    assert!(sessions.iter().all(|ended_by| metrics.sessions(ended_by) == 0), "a session ended");
    let evidence = Evidence::of(kinds, "kinds of messages")
        .and(invalid, "of them no jobs")
        .and(kinds * each - invalid, "of them jobs all the same");
    trial.close([worker], evidence, 0).await;
}
