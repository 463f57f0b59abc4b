//! The endpoint itself rejects every job.

use crate::{
    chaos::{Area, Ending, Evidence, Plan, sized},
    harness::{Answer, BULK, Endpoint, INTERACTIVE, Message, Stage, token},
};

/// `01` for every job: each is called once and becomes a dead letter with this reason.
#[tokio::test(flavor = "multi_thread")]
async fn all_are_rejected() {
    let jobs = sized(300, 10_000);
    let mut case = Plan::new(Area::Endpoint, "`01` for all")
        .begin_on(Stage::new().await, async |_| Endpoint::start(|_| Answer::rejected()).await)
        .await;
    for (lane, first) in [(INTERACTIVE, 0), (BULK, 1)] {
        let messages: Vec<Message> = (first..jobs)
            .step_by(2)
            .map(|n| case.enter(Message::job(&token(n)), &token(n), Ending::Dead(&["rejected"])))
            .collect();
        case.stage.amqp.publish_all(lane, messages).await;
    }
    let worker = case.ready().await;
    let metrics = worker.until_processed("dead_lettered", jobs).await;
    assert_eq!(case.endpoint.count(), jobs, "a rejected job was called again");
    let evidence = Evidence::of(metrics.calls("rejected"), "calls that ended as `rejected`");
    case.close([worker], evidence, 0).await;
}
