//! A plain worker without guarantees: consume, call, ack each. It has no retries, no metrics and no dead letters, and any
//! failure ends it.
//!
//! usage: `plain-worker BROKER_URL QUEUE ENDPOINT_URL JOBS [AT_A_TIME]`
//!
//! Without `AT_A_TIME` each delivery in flight is a call under way. With it twice as many are in flight, so that a call
//! can begin as soon as another ends.

use std::{env, error::Error, sync::Arc};

use futures_util::StreamExt as _;
use lapin::{
    Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

/// Jobs in flight, and so calls at a time.
const PREFETCH: u16 = 256;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (broker, queue, endpoint, jobs, at_a_time) = match arguments.as_slice() {
        [broker, queue, endpoint, jobs] => (broker, queue, endpoint, jobs, None),
        [broker, queue, endpoint, jobs, most] => (broker, queue, endpoint, jobs, Some(most)),
        _ => return Err("four or five arguments".into()),
    };
    let jobs: u32 = jobs.parse()?;
    let at_a_time: Option<u16> = at_a_time.map(|most| most.parse()).transpose()?;
    let prefetch = at_a_time.map_or(PREFETCH, |most| most.saturating_mul(2));
    let places = Arc::new(Semaphore::new(at_a_time.unwrap_or(PREFETCH).into()));
    revoker::endpoint::install_crypto_provider();
    let client = Client::builder().no_proxy().tls_certs_only([]).build()?;
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let (consume, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer =
        channel.basic_consume(queue.as_str().into(), "plain".into(), consume, none).await?;
    let mut working = JoinSet::new();
    for _ in 0..jobs {
        let delivery = consumer.next().await.ok_or("the consumer ended")??;
        let place = Arc::clone(&places).acquire_owned().await?;
        let (client, endpoint) = (client.clone(), endpoint.clone());
        working.spawn(async move {
            let revoked = revoke(client, endpoint, delivery).await;
            drop(place);
            revoked
        });
        while let Some(worked) = working.try_join_next() {
            worked??;
        }
    }
    while let Some(worked) = working.join_next().await {
        worked??;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn revoke(client: Client, endpoint: String, delivery: Delivery) -> Result<(), Failure> {
    let job: Value = serde_json::from_slice(&delivery.data)?;
    let call = json!({
        "action": "revoke",
        "refresh_token": job["refresh_token"],
        "audience": "https://api.dev.alignet.io",
        "client_id": "bench",
        "client_secret": "secret-of-the-bench",
    });
    let request = client.post(endpoint).header("Content-Type", "application/json");
    let answer = request.body(call.to_string()).send().await?.bytes().await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    if answer["revoke"]["meta"]["status"]["code"] != "00" {
        return Err("not revoked".into());
    }
    delivery.ack(BasicAckOptions::default()).await?;
    Ok(())
}
