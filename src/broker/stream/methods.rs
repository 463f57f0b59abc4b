//! Reads the fields of methods that the stream needs. The methods were checked before.

use crate::broker::cause::CloseCause;

/// The effect of a method on the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// A message with this delivery tag follows.
    Delivery(u64),
    /// A message follows that is no delivery.
    OtherContent,
    /// The channel is opened: what was known of its predecessor is void.
    ChannelOpened,
    /// The channel is closed, for the broker's reason if it closed it.
    ChannelClosed(Option<CloseCause>),
    /// The broker closes the connection, for this reason.
    Closing(CloseCause),
    /// The negotiation of limits. See [`tune`].
    Tune,
    Nothing,
}

pub(super) fn notice(payload: &[u8]) -> Notice {
    match payload {
        [0, 10, 0, 30, ..] => Notice::Tune,
        [0, 10, 0, 50, code @ ..] => closing(code).map_or(Notice::Nothing, Notice::Closing),
        [0, 20, 0, 11, ..] => Notice::ChannelOpened,
        [0, 20, 0, 40, code @ ..] => Notice::ChannelClosed(closing(code)),
        [0, 20, 0, 41, ..] => Notice::ChannelClosed(None),
        [0, 60, 0, 50, ..] => Notice::OtherContent,
        [0, 60, 0, 60, consumer, rest @ ..] => delivery(rest.get(usize::from(*consumer)..)),
        [0, 60, 0, 71, rest @ ..] => delivery(Some(rest)),
        _ => Notice::Nothing,
    }
}

fn delivery(tag: Option<&[u8]>) -> Notice {
    let tag = tag.and_then(|rest| rest.first_chunk()).copied();
    tag.map_or(Notice::OtherContent, |tag| Notice::Delivery(u64::from_be_bytes(tag)))
}

fn closing(arguments: &[u8]) -> Option<CloseCause> {
    let (code, rest) = arguments.split_first_chunk()?;
    let (length, rest) = rest.split_first()?;
    let text = rest.get(..usize::from(*length))?;
    Some(CloseCause {
        code: Some(u16::from_be_bytes(*code)),
        text: String::from_utf8_lossy(text).into_owned(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Negotiated {
    /// The largest frame, in bytes; 0 for no limit.
    pub(crate) frame_max: u32,
    /// The heartbeat in seconds; 0 for none.
    pub(crate) heartbeat: u16,
}

/// The default frame size of RabbitMQ.
pub(crate) const DEFAULT_FRAME_MAX: u32 = 131_072;

/// The largest frame that the operator may choose: lapin reserves memory for 64 frames of each connection.
const MOST_FRAME_MAX: u32 = 1_048_576;

/// Lowers the frame size that the broker offers, and returns the values that it and lapin will negotiate: the lower of
/// two limits, where 0 is none.
///
/// lapin's memory for frames is beside `broker.in_flight_bytes`. So a frame above RabbitMQ's default needs the
/// operator's setting; the broker's limit alone is not enough.
///
/// Returns `None` if the method is too short.
pub(crate) fn tune(payload: &mut [u8], ours: Negotiated) -> Option<Negotiated> {
    let offered = payload.get_mut(6..10)?.first_chunk_mut()?;
    let frame_max = match u32::from_be_bytes(*offered) {
        0 => DEFAULT_FRAME_MAX,
        offered if ours.frame_max == 0 => offered.min(DEFAULT_FRAME_MAX),
        offered => offered.min(MOST_FRAME_MAX),
    };
    *offered = frame_max.to_be_bytes();
    let heartbeat = u16::from_be_bytes(*payload.get(10..12)?.first_chunk()?);
    Some(Negotiated {
        frame_max: lower(ours.frame_max, frame_max),
        heartbeat: lower(ours.heartbeat, heartbeat),
    })
}

/// The lower of two limits, where 0 is none.
fn lower<T: Ord + Default>(ours: T, theirs: T) -> T {
    let none = T::default();
    if ours == none || theirs == none { ours.max(theirs) } else { ours.min(theirs) }
}

#[cfg(test)]
mod tests;
