//! Tests that find the cause, for each command that can fail first.

use futures_util::stream;
use lapin::{
    ChannelState,
    protocol::{AMQPError, AMQPHardError},
};
use tokio::time::Instant;

use super::*;

fn said(kind: impl Into<AMQPErrorKind>, text: &str) -> lapin::Error {
    ErrorKind::ProtocolError(AMQPError::new(kind.into(), text.into())).into()
}

fn forced() -> lapin::Error {
    said(AMQPHardError::CONNECTIONFORCED, "CONNECTION_FORCED - maintenance")
}

fn timed_out() -> lapin::Error {
    said(
        AMQPSoftError::PRECONDITIONFAILED,
        "PRECONDITION_FAILED - delivery acknowledgement timed out",
    )
}

fn missing() -> lapin::Error {
    said(AMQPSoftError::NOTFOUND, "NOT_FOUND - no queue 'revocations.dead'")
}

fn invalid() -> lapin::Error {
    ErrorKind::InvalidChannelState(ChannelState::Closing, "basic.ack").into()
}

/// Announces these errors, and no others.
fn announced(errors: impl IntoIterator<Item = lapin::Error>) -> ConnectionErrors {
    let events: Vec<Event> = errors.into_iter().map(Event::Error).collect();
    ConnectionErrors::among(stream::iter(events).chain(stream::pending()))
}

/// The status of a closed connection.
fn gone() -> ConnectionStatus {
    ConnectionStatus::default()
}

#[tokio::test(start_paused = true)]
async fn an_error_that_tells_its_cause_is_the_cause() {
    let began = Instant::now();
    let cause = announced([]).cause_of(timed_out(), &gone()).await;
    assert_eq!(cause, timed_out());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_failed_ack_gets_the_cause_that_ended_the_connection() {
    let mut errors = announced([missing(), timed_out(), forced()]);
    assert_eq!(errors.cause_of(invalid(), &gone()).await, forced());
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_was_closed_unasked_is_the_cause_where_nothing_else_is() {
    let mut errors = announced([timed_out(), missing()]);
    assert_eq!(errors.cause_of(invalid(), &gone()).await, timed_out());
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_an_unannounced_cause_is_short() {
    let began = Instant::now();
    assert_eq!(announced([missing()]).cause_of(invalid(), &gone()).await, invalid());
    assert_eq!(began.elapsed(), ANNOUNCED_WITHIN);
}
