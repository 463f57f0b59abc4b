//! All kinds of unusual messages at once, for one worker.

use super::{Class, control::CONTROL, malformed::MALFORMED, tokens::CONTROL_CHARACTERS};
use crate::{
    chaos::{Area, Evidence, Plan, plan::without_fault, sized},
    harness::Stage,
};

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_together() {
    let each = sized(4, 40);
    let plan = Plan::new(Area::Producer, "all of these together").jobs(sized(200, 5_000));
    let mut case = plan.begin_on(Stage::new().await, without_fault).await;
    let all = || MALFORMED.iter().chain(&CONTROL).chain([&CONTROL_CHARACTERS]);
    let kinds = all().count();
    let good = case.part(1.0) / kinds;
    for (nth, bad_job) in all().enumerate() {
        bad_job.mix_in(&mut case, nth * each, each, good).await;
    }
    case.publish_all().await;
    let invalid = all().filter(|bad_job| bad_job.class == Class::Invalid).count() * each;
    let calls = case.part(1.0) + kinds * each - invalid;
    let worker = case.ready().await;
    case.endpoint.until_count(calls).await;
    for (nth, bad_job) in all().enumerate() {
        let _ = bad_job.fired(&case, nth * each, each);
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
        .and(kinds * each - invalid, "of them valid jobs");
    case.close([worker], evidence, 0).await;
}
