//! Many jobs with the same token.

use crate::{
    chaos::{Area, Ending, Evidence, Plan, plan::without_fault, sized},
    harness::{BULK, INTERACTIVE, Message, Stage, token},
};

/// Messages that are published before their confirms are awaited.
const AT_A_TIME: usize = 5_000;

/// A producer in a loop: one call, and every other job is a duplicate of it.
#[tokio::test(flavor = "multi_thread")]
async fn identical_tokens() {
    let (jobs, fault) =
        sized((3_000, "3,000 identical tokens"), (1_000_000, "a million identical tokens"));
    let plan = Plan::new(Area::Producer, fault).prefetch(512);
    let mut case = plan.begin_on(Stage::new().await, without_fault).await;
    let token = (0..jobs).map(token).find(|token| !case.script.always_rejects(token)).unwrap();
    for first in (0..jobs).step_by(AT_A_TIME) {
        let lane = if case.chance.bool() { INTERACTIVE } else { BULK };
        let messages: Vec<Message> = (first..jobs.min(first + AT_A_TIME))
            .map(|_| case.enter(Message::job(&token), &token, Ending::Revoked))
            .collect();
        case.stage.amqp.publish_all(lane, messages).await;
    }
    // Duplicates are remembered for longer than the case takes.
    case.launch = case.launch.set("duplicates.remember", "1d");
    let worker = case.ready().await;
    let metrics = worker.until_processed("duplicate", jobs - 1).await;
    assert_eq!(case.endpoint.count(), 1, "a token was called for twice");
    let evidence = Evidence::of(metrics.processed("duplicate"), "duplicates of one call");
    case.close([worker], evidence, 0).await;
}
