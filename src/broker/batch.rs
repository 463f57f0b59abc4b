//! Publishes one batch of messages on one channel: sends all of them, then awaits their confirms. Each confirm that
//! came counts, even if the wait fails.

mod results;

use std::{
    pin::Pin,
    task::{Context, Waker},
};

use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{MaybeDone, maybe_done},
};
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, BasicQosOptions},
    types::ShortString,
};
use thiserror::Error;

use super::{
    channel_failure::{ChannelFailure, why_ended},
    confirm_channel::ConfirmChannel,
    confirm_timeout::ConfirmTimeout,
    connection::Connection,
    wait::NoAnswer,
};

/// Without `Debug`, which would print the token.
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
    hand_over(connection, &mut answers);
    let mut late = false;
    let waiting = async {
        // In order, so that the time-out counts from one confirm to the next: a slow broker makes progress.
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
        PublishedBatch { results: results::of(messages, &mut answers), interruption, late };
    confirm_timeout.note(&published);
    published
}

type PendingConfirm<F> = Pin<Box<MaybeDone<F>>>;

/// Sends one message and awaits its confirm. The first poll queues its frames.
///
/// Not an `async fn`, which would keep a second copy of the message.
fn send(
    channel: &Channel,
    message: OutgoingRef<'_>,
) -> impl Future<Output = lapin::Result<Confirmation>> {
    let OutgoingRef { queue, body, properties } = message;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let exchange = ShortString::default();
    channel.basic_publish(exchange, queue.clone(), options, body, properties).try_flatten()
}

/// Polls each once, in order. Waiting until each is written would cost two thread switches per message.
///
/// Each is polled again by [`wait`], so the waker does nothing. Otherwise the library would wake this task once for each
/// message that it has written.
fn hand_over<F: Future>(connection: &Connection, answers: &mut [PendingConfirm<F>]) {
    let _written_together = connection.stream().hold_writes();
    let mut context = Context::from_waker(Waker::noop());
    for answer in answers {
        let _ = answer.as_mut().poll(&mut context);
    }
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
    let gone = |silent| gone(silent, connection, channel);
    let failed =
        |error: &_| Interruption::ChannelFailure(ChannelFailure::on(channel, connection, error));
    // Most confirms have come by now, and need no timer.
    if answer.as_mut().now_or_never().is_some() {
        return outcome(answer, failed).map(|()| true);
    }
    let told = |problem| move |blocked| waits(if blocked { Some(BLOCKED) } else { problem });
    let timeout = confirm_timeout.timeout();
    match connection.confirm(timeout, answer.as_mut(), told(None)).await {
        Err(NoAnswer::TooLong) => {}
        ended => return ended.map_err(gone).and_then(|()| outcome(answer, failed)).map(|()| true),
    }
    let late = told(Some(UNCONFIRMED));
    late(false);
    // The broker answers this after it has read all published messages. So an answer shows that it works.
    let asking = channel.basic_qos(0, BasicQosOptions::default());
    tokio::select! {
        biased;
        () = answer.as_mut() => return outcome(answer, failed).map(|()| false),
        asked = connection.confirm(timeout, asking, late) => {
            asked.map_err(gone)?.map_err(|error| failed(&error))?;
        }
    }
    let left = confirm_timeout.limit().saturating_sub(timeout);
    connection.confirm(left, answer.as_mut(), late).await.map_err(gone)?;
    outcome(answer, failed).map(|()| false)
}

fn gone(silent: NoAnswer, connection: &Connection, channel: &Channel) -> Interruption {
    match silent {
        NoAnswer::Gone => {
            let why = why_ended(connection, Some(channel.id()));
            Interruption::ChannelFailure(ChannelFailure::by_nobody(why))
        }
        NoAnswer::TooLong => Interruption::Silent,
    }
}

/// Fails if the confirm is an error, which ended the channel.
fn outcome<F: Future<Output = lapin::Result<Confirmation>>>(
    answer: Pin<&mut MaybeDone<F>>,
    failed: impl Fn(&lapin::Error) -> Interruption,
) -> Result<(), Interruption> {
    match answer.output_mut() {
        Some(Err(error)) => Err(failed(error)),
        _ => Ok(()),
    }
}
