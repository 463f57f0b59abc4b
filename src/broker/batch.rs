//! Publishes one batch of messages on one channel: sends all of them, then awaits their confirms. Each confirm that
//! came counts, even if the wait fails.

use std::{future::poll_fn, pin::Pin, task::Poll};

use futures_util::{
    FutureExt as _,
    future::{MaybeDone, maybe_done},
};
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, BasicQosOptions},
    types::ShortString,
};
use thiserror::Error;

use super::{
    channel_failure::ChannelFailure, confirm_channel::ConfirmChannel,
    confirm_timeout::ConfirmTimeout, connection::Connection, wait::NoAnswer,
};

#[derive(Debug)]
pub(super) struct OutgoingRef<'a> {
    pub(super) queue: &'a ShortString,
    pub(super) body: &'a [u8],
    pub(super) properties: BasicProperties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublishResult {
    /// The queue stored it.
    Confirmed,
    /// The queue refuses it.
    Nacked,
    /// The queue does not exist.
    Returned,
    /// No confirm came: the queue may have stored it or not.
    Unknown,
}

impl PublishResult {
    /// The reason that a refusal gives.
    pub(super) const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Confirmed | Self::Unknown => None,
            Self::Nacked => Some("it refuses messages"),
            Self::Returned => Some("it does not exist"),
        }
    }
}

/// Why the wait ended before all confirms came. The channel is unusable then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Interruption {
    /// The channel or its connection ended.
    #[error("{}", .0.why)]
    ChannelFailure(ChannelFailure),
    #[error("{UNCONFIRMED}")]
    Silent,
    #[error("given up")]
    GivenUp,
}

#[derive(Debug)]
pub(super) struct PublishedBatch {
    /// The result of each message, in order.
    pub(super) results: Vec<PublishResult>,
    /// Why some are unknown.
    pub(super) interruption: Option<Interruption>,
    /// Whether a confirm was late or missing.
    pub(super) late: bool,
}

/// The reason while confirms are late.
const UNCONFIRMED: &str = "the broker does not confirm";

/// The reason while no confirm can come.
pub(super) const BLOCKED: &str = "the broker blocks publishing";

/// Publishes messages, mandatory, and awaits each confirm within `confirm_timeout`. Until the next confirm comes,
/// `waits` gets the problem, if there is one. While the broker blocks the connection, the time-out stands still.
pub(super) async fn publish<'a>(
    to: &ConfirmChannel,
    messages: impl Iterator<Item = OutgoingRef<'a>> + Clone,
    confirm_timeout: &mut ConfirmTimeout,
    waits: &impl Fn(Option<&'static str>),
    given_up: impl Future<Output = ()>,
) -> PublishedBatch {
    let ConfirmChannel { connection, channel } = to;
    let mut answers: Vec<_> =
        messages.clone().map(|message| Box::pin(maybe_done(send(channel, message)))).collect();
    hand_over(&mut answers).await;
    let mut late = false;
    let waiting = async {
        for answer in &mut answers {
            let timely = wait(connection, channel, confirm_timeout, waits, answer.as_mut()).await?;
            late |= !timely;
        }
        Ok(())
    };
    let interruption = tokio::select! {
        biased;
        waited = waiting => waited.err(),
        () = given_up => Some(Interruption::GivenUp),
    };
    late |= interruption == Some(Interruption::Silent);
    let published =
        PublishedBatch { results: results(messages, collect(&mut answers)), interruption, late };
    confirm_timeout.note(&published);
    published
}

type PendingConfirm<F> = Pin<Box<MaybeDone<F>>>;

/// Sends one message and awaits its confirm. The first poll queues its frames.
async fn send(channel: &Channel, message: OutgoingRef<'_>) -> lapin::Result<Confirmation> {
    let OutgoingRef { queue, body, properties } = message;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let exchange = ShortString::default();
    channel.basic_publish(exchange, queue.clone(), options, body, properties).await?.await
}

/// Polls each once, in order. Waiting until each is written would cost two thread switches per message.
async fn hand_over<F: Future>(answers: &mut [PendingConfirm<F>]) {
    poll_fn(|context| {
        for answer in &mut *answers {
            let _ = answer.as_mut().poll(context);
        }
        Poll::Ready(())
    })
    .await;
}

/// Waits for one confirm, and returns whether it came in time. A late confirm is awaited further: publishing the
/// message again would make a copy.
async fn wait<F: Future<Output = lapin::Result<Confirmation>>>(
    connection: &Connection,
    channel: &Channel,
    confirm_timeout: &ConfirmTimeout,
    waits: &impl Fn(Option<&'static str>),
    mut answer: Pin<&mut MaybeDone<F>>,
) -> Result<bool, Interruption> {
    let told = |problem| move |blocked| waits(if blocked { Some(BLOCKED) } else { problem });
    let timeout = confirm_timeout.timeout();
    match connection.confirm(timeout, answer.as_mut(), told(None)).await {
        Err(NoAnswer::TooLong) => {}
        ended => return ended.map_err(gone).and_then(|()| outcome(answer)).map(|()| true),
    }
    let late = told(Some(UNCONFIRMED));
    late(false);
    // The broker answers this after it has read all published messages. So an answer shows that it works.
    let asking = channel.basic_qos(0, BasicQosOptions::default());
    tokio::select! {
        biased;
        () = answer.as_mut() => return outcome(answer).map(|()| false),
        asked = connection.confirm(timeout, asking, late) => {
            asked.map_err(gone)?.map_err(|error| Interruption::ChannelFailure(ChannelFailure::of(&error)))?;
        }
    }
    let left = confirm_timeout.limit().saturating_sub(timeout);
    connection.confirm(left, answer.as_mut(), late).await.map_err(gone)?;
    outcome(answer).map(|()| false)
}

fn gone(silent: NoAnswer) -> Interruption {
    match silent {
        NoAnswer::Gone => {
            Interruption::ChannelFailure(ChannelFailure::by_nobody(silent.to_string()))
        }
        NoAnswer::TooLong => Interruption::Silent,
    }
}

/// Fails if the confirm is an error, which ended the channel.
fn outcome<F: Future<Output = lapin::Result<Confirmation>>>(
    answer: Pin<&mut MaybeDone<F>>,
) -> Result<(), Interruption> {
    match answer.output_mut() {
        Some(Err(error)) => Err(Interruption::ChannelFailure(ChannelFailure::of(error))),
        _ => Ok(()),
    }
}

/// The confirms that came, and every returned message. Nothing is awaited.
fn collect<F: Future<Output = lapin::Result<Confirmation>>>(
    answers: &mut [PendingConfirm<F>],
) -> (Vec<Option<Confirmation>>, Vec<BasicReturnMessage>) {
    let take = |answer: &mut PendingConfirm<F>| {
        answer.as_mut().now_or_never()?;
        answer.as_mut().take_output()?.ok()
    };
    let mut pending = Vec::new();
    let mut taken = Vec::with_capacity(answers.len());
    for answer in answers {
        let confirmation = take(answer);
        if confirmation.is_none() && !matches!(**answer, MaybeDone::Gone) {
            pending.push(answer);
        }
        taken.push(confirmation);
    }
    // A return is reported on the next confirm that completes, at the latest on its own. That confirm may have
    // completed after it was checked.
    let returned = pending.into_iter().filter_map(|answer| take(answer)?.take_message());
    let returned = returned.collect();
    (taken, returned)
}

/// The result of each message. A nack belongs to its message. A return belongs to the message that was returned,
/// whichever confirm reports it. A return that matches no message counts against every message of its queue.
fn results<'a>(
    messages: impl Iterator<Item = OutgoingRef<'a>>,
    (confirmations, mut returned): (Vec<Option<Confirmation>>, Vec<BasicReturnMessage>),
) -> Vec<PublishResult> {
    let mut results = Vec::with_capacity(confirmations.len());
    for confirmation in confirmations {
        results.push(match &confirmation {
            None => PublishResult::Unknown,
            Some(Confirmation::Nack(_)) => PublishResult::Nacked,
            Some(Confirmation::Ack(_) | Confirmation::NotRequested) => PublishResult::Confirmed,
        });
        returned.extend(confirmation.and_then(Confirmation::take_message));
    }
    if returned.is_empty() {
        return results;
    }
    let messages: Vec<_> = messages.collect();
    for back in returned {
        let is_for_its_queue =
            |message: &OutgoingRef<'_>| *message.queue == back.delivery.routing_key;
        // Equal messages are interchangeable.
        let own = messages.iter().zip(&mut results).find(|(message, result)| {
            **result != PublishResult::Returned
                && is_for_its_queue(message)
                && is_the_same(message, &back)
        });
        if let Some((_, result)) = own {
            *result = PublishResult::Returned;
            continue;
        }
        for (message, result) in messages.iter().zip(&mut results) {
            if is_for_its_queue(message) && *result != PublishResult::Unknown {
                *result = PublishResult::Returned;
            }
        }
    }
    results
}

fn is_the_same(message: &OutgoingRef<'_>, back: &BasicReturnMessage) -> bool {
    message.body == back.delivery.data && message.properties == back.delivery.properties
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready, rc::Rc};

    use lapin::message::Delivery;

    use super::*;

    fn returned(queue: &str, body: &str) -> BasicReturnMessage {
        let delivery = Delivery::mock(0, "".into(), queue.into(), false, body.into());
        BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }
    }

    fn results_of<const N: usize>(
        messages: [(&str, &str); N],
        answers: (Vec<Option<Confirmation>>, Vec<BasicReturnMessage>),
    ) -> Vec<PublishResult> {
        let queues = messages.map(|(queue, _)| ShortString::from(queue));
        let outgoing = queues.iter().zip(messages).map(|(queue, (_, body))| OutgoingRef {
            queue,
            body: body.as_bytes(),
            properties: BasicProperties::default(),
        });
        results(outgoing, answers)
    }

    #[test]
    fn a_return_counts_for_its_message_whichever_confirm_reports_it() {
        let messages = [("dead", "a"), ("retry", "b"), ("dead", "b"), ("dead", "c")];
        let confirmations = vec![
            Some(Confirmation::Ack(None)),
            Some(Confirmation::Ack(Some(returned("dead", "b")))),
            Some(Confirmation::Ack(None)),
            None,
        ];
        let results = results_of(messages, (confirmations, Vec::new()));
        assert_eq!(
            results,
            [
                PublishResult::Confirmed,
                PublishResult::Confirmed,
                PublishResult::Returned,
                PublishResult::Unknown
            ]
        );
    }

    #[test]
    fn of_messages_that_are_the_same_as_many_count_as_came_back() {
        let ack = || Some(Confirmation::Ack(None));
        let back = || vec![returned("dead", "a"), returned("dead", "a")];
        let results = results_of([("dead", "a"); 3], (vec![ack(), ack(), ack()], back()));
        assert_eq!(results.iter().filter(|result| **result == PublishResult::Returned).count(), 2);
    }

    #[test]
    fn a_return_of_an_unknown_message_counts_for_its_queue() {
        let messages = [("dead", "a"), ("retry", "b"), ("dead", "c")];
        let confirmations = vec![
            Some(Confirmation::Ack(None)),
            Some(Confirmation::Ack(None)),
            Some(Confirmation::Nack(None)),
        ];
        let results = results_of(messages, (confirmations, vec![returned("dead", "other")]));
        assert_eq!(
            results,
            [PublishResult::Returned, PublishResult::Confirmed, PublishResult::Returned]
        );
    }

    #[test]
    fn a_nack_counts_for_its_message_alone() {
        let confirmations =
            vec![Some(Confirmation::Nack(None)), Some(Confirmation::Ack(None)), None];
        let results = results_of([("dead", "a"); 3], (confirmations, Vec::new()));
        assert_eq!(
            results,
            [PublishResult::Nacked, PublishResult::Confirmed, PublishResult::Unknown]
        );
    }

    /// The library completes the first confirm, which carries the return, after it was asked for. It completes the
    /// second one, of the returned message, before it is asked for.
    #[test]
    fn a_return_on_a_confirm_that_completes_meanwhile_is_not_missed() {
        type Boxed = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>>>>;
        let completed = Rc::new(Cell::new(false));
        let seen = Rc::clone(&completed);
        let first = poll_fn(move |_| {
            if seen.get() {
                Poll::Ready(Ok(Confirmation::Ack(Some(returned("dead", "b")))))
            } else {
                Poll::Pending
            }
        });
        let second = poll_fn(move |_| {
            completed.set(true);
            Poll::Ready(Ok(Confirmation::Ack(None)))
        });
        let both: [Boxed; 3] =
            [Box::pin(first), Box::pin(second), Box::pin(ready(Ok(Confirmation::Nack(None))))];
        let mut answers: Vec<_> = both.into_iter().map(|one| Box::pin(maybe_done(one))).collect();
        let messages = [("dead", "a"), ("dead", "b"), ("dead", "c")];
        let results = results_of(messages, collect(&mut answers));
        assert_eq!(
            results,
            [PublishResult::Unknown, PublishResult::Returned, PublishResult::Nacked]
        );
    }
}
