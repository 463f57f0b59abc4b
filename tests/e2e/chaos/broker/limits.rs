//! The broker drops messages by itself: they are in the dead-letter queue, without our headers.

use crate::{
    chaos::{Area, BROKER_DROPPED, Ending, EndpointScript, Evidence, Plan},
    harness::{Answer, DEAD, Endpoint, INTERACTIVE, Message, Stage, token},
};

/// A policy of two deliveries, and a worker that is killed with the same jobs in flight again and again.
#[tokio::test(flavor = "multi_thread")]
async fn delivery_limit_hit() {
    const LIMIT: usize = 2;
    let endpoint = async |script: EndpointScript| {
        // The first jobs are a trap: their calls never end.
        Endpoint::start(move |call| {
            let trapped = call.request.json()["username"] == "trapped";
            if trapped { Answer::Never } else { script.answer(call) }
        })
        .await
    };
    let plan = Plan::new(Area::Broker, "delivery limit hit").concurrency(8);
    let mut case = plan.begin_on(Stage::new().await, endpoint).await;
    let trapped = case.calls_at_a_time();
    let name = case.stage.host.name().to_owned();
    let limit = format!("{{\"delivery-limit\":{LIMIT}}}");
    let policy =
        ["set_policy", "-p", &name, "limit", "^revocations", &limit, "--apply-to", "queues"];
    case.stage.host.node().ctl(&policy).await;
    case.allow(BROKER_DROPPED);
    for n in 0..trapped {
        let token = token(1_000 + n);
        let body = serde_json::json!({ "refresh_token": token, "username": "trapped" });
        let message = Message::new(body.to_string());
        case.publish_own(INTERACTIVE, message, &token, Ending::Dead(&[BROKER_DROPPED])).await;
    }
    for kill in 1..=LIMIT + 1 {
        let worker = case.ready().await;
        case.endpoint.until_count(kill * trapped).await;
        worker.kill().await;
        case.stage.amqp.after_consumers(INTERACTIVE).await;
    }
    let dropped = u32::try_from(trapped).unwrap();
    case.stage.amqp.until_ready(DEAD, dropped).await;
    case.stage.host.node().ctl(&["clear_policy", "-p", &name, "limit"]).await;
    case.publish_all().await;
    let worker = case.ready().await;
    case.close([worker], Evidence::of(trapped, "jobs dropped by the broker"), 0).await;
}

/// A producer that lets its jobs expire while they wait.
#[tokio::test(flavor = "multi_thread")]
async fn expiration_of_a_producer() {
    const EXPIRING: usize = 50;
    let plan = Plan::new(Area::Broker, "a producer's expiration on a lane");
    let mut case = plan.begin().await;
    for n in 0..EXPIRING {
        let token = token(1_000 + n);
        let message =
            Message::job(&token).with(|properties| properties.with_expiration("1".into()));
        case.publish_own(INTERACTIVE, message, &token, Ending::Dead(&[BROKER_DROPPED])).await;
    }
    case.stage.amqp.until_ready(DEAD, u32::try_from(EXPIRING).unwrap()).await;
    case.publish_all().await;
    let worker = case.ready().await;
    case.close([worker], Evidence::of(EXPIRING, "jobs expired in their lane"), 0).await;
}
