//! Asks for the rights of a user, and leaves nothing behind.

use lapin::{
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable, LongString, ShortString},
};

use super::{
    connection::{Connection, REPLY_SUCCESS},
    topology::{ANSWER_LIMIT, TopologyError, compare, in_time},
};

/// An argument of which no queue can have a negative value.
const IMPOSSIBLE_LENGTH: &str = "x-max-length";

/// Asks whether this user may declare a queue that does not exist. Nothing is declared: the declaration has an argument
/// that no queue can have, and RabbitMQ refuses it only after the checks of the rights. Fails with
/// [`TopologyError::Refused`] if a right is missing.
pub(super) async fn may_declare(
    connection: &Connection,
    queue: &ShortString,
    mut arguments: FieldTable,
) -> Result<(), TopologyError> {
    arguments.insert(IMPOSSIBLE_LENGTH.into(), AMQPValue::LongLongInt(-1));
    match compare(connection, queue, arguments).await {
        Err(TopologyError::Differs { difference, .. })
            if difference.contains(IMPOSSIBLE_LENGTH) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Asks whether this user may consume a queue. No consumer starts and no message moves: the argument has a wrong type,
/// and RabbitMQ refuses it only after the check of the right. Fails with [`TopologyError::Refused`] without the right.
pub(super) async fn may_consume(
    connection: &Connection,
    queue: &ShortString,
) -> Result<(), TopologyError> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongString(LongString::from(&b"none"[..])));
    let options = BasicConsumeOptions::default();
    let consumed = in_time(connection, ANSWER_LIMIT, queue, async {
        let channel = connection.create_channel().await?;
        // Another broker may take the argument, and starts the consumer. Then it delivers one message at most, which
        // returns with the channel.
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        let consumer = channel.basic_consume(queue.clone(), "".into(), options, arguments).await?;
        channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
        channel.close(REPLY_SUCCESS, "asked".into()).await
    });
    match consumed.await {
        // A queue that does not exist is refused after the check of the right, too.
        Err(TopologyError::Differs { .. } | TopologyError::Missing { .. }) => Ok(()),
        other => other,
    }
}
