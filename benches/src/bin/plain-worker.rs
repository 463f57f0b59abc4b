//! A plain worker without guarantees: consume, call, ack each. It has no retries, no metrics and no dead letters, and
//! any failure ends it. Its cost is the minimum with these libraries: it copies and parses nothing twice.
//!
//! usage: `plain-worker BROKER_URL QUEUE ENDPOINT_URL JOBS AT_A_TIME`
//!
//! Deliveries in flight are twice the calls in flight, so that a call can begin as soon as another ends.

use std::{env, error::Error, sync::Arc};

use futures_util::StreamExt as _;
use lapin::{
    Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use reqwest::{
    Client, Method, Request, Url,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

type Failure = Box<dyn Error + Send + Sync>;

/// The state that all jobs share.
struct Endpoint {
    client: Client,
    url: Url,
}

/// The fields of a job that are needed here.
#[derive(Deserialize)]
struct Job<'a> {
    refresh_token: &'a str,
}

/// The body of a call.
#[derive(Serialize)]
struct Call<'a> {
    action: &'static str,
    refresh_token: &'a str,
    audience: &'static str,
    client_id: &'static str,
    client_secret: &'static str,
}

/// The fields of the vendor's envelope that are needed here.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    revoke: Revoke<'a>,
}

#[derive(Deserialize)]
struct Revoke<'a> {
    #[serde(borrow)]
    meta: Meta<'a>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    status: Status<'a>,
}

#[derive(Deserialize)]
struct Status<'a> {
    code: &'a str,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [broker, queue, url, jobs, at_a_time] = arguments.as_slice() else {
        return Err("five arguments".into());
    };
    let (jobs, at_a_time): (u32, u16) = (jobs.parse()?, at_a_time.parse()?);
    let prefetch = at_a_time.saturating_mul(2);
    let places = Arc::new(Semaphore::new(at_a_time.into()));
    revoker::endpoint::install_crypto_provider();
    let builder = Client::builder().no_proxy().tls_certs_only([]).tcp_nodelay(true);
    let client = builder.pool_max_idle_per_host(prefetch.into()).build()?;
    let endpoint = Arc::new(Endpoint { client, url: url.parse()? });
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
        working.spawn(Arc::clone(&endpoint).work(delivery, place));
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

impl Endpoint {
    /// Revokes the token of a delivery, and acks it.
    async fn work(
        self: Arc<Self>,
        delivery: Delivery,
        place: OwnedSemaphorePermit,
    ) -> Result<(), Failure> {
        let job: Job<'_> = serde_json::from_slice(&delivery.data)?;
        let call = Call {
            action: "revoke",
            refresh_token: job.refresh_token,
            audience: "https://api.dev.alignet.io",
            client_id: "bench",
            client_secret: "secret-of-the-bench",
        };
        let mut request = Request::new(Method::POST, self.url.clone());
        let kind = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(serde_json::to_vec(&call)?.into());
        let body = self.client.execute(request).await?.bytes().await?;
        let answer: Answer<'_> = serde_json::from_slice(&body)?;
        if answer.revoke.meta.status.code != "00" {
            return Err("not revoked".into());
        }
        delivery.ack(BasicAckOptions::default()).await?;
        drop(place);
        Ok(())
    }
}
