//! The bare consumer: takes deliveries and acks them, many with one ack, without calls. No worker can consume its jobs
//! at a lower cost.
//!
//! usage: `bare-consumer BROKER_URL QUEUE DELIVERIES`

use std::{env, error::Error};

use futures_util::StreamExt as _;
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};

/// Deliveries in flight, the same number as for the plain worker.
const PREFETCH: u16 = 512;

/// Deliveries to one ack.
const TO_ONE_ACK: u32 = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, queue, deliveries] = arguments.as_slice() else {
        return Err("three arguments".into());
    };
    let deliveries: u32 = deliveries.parse()?;
    revoker::endpoint::install_crypto_provider();
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (consume, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer =
        channel.basic_consume(queue.as_str().into(), "bare".into(), consume, arguments).await?;
    for number in 1..=deliveries {
        let delivery = consumer.next().await.ok_or("the consumer ended")??;
        if number.is_multiple_of(TO_ONE_ACK) || number == deliveries {
            channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true }).await?;
        }
    }
    channel.close(200, "done".into()).await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}
