//! A consuming connection from the broker's side: its deliveries that are not settled yet.

use std::collections::BTreeMap;

use revoker::{
    broker::seams::Frame,
    domain::{Lane, PerLane},
};

use super::Message;
use crate::witness::Number;

/// Connections in the order in which they were opened.
pub type LinkNumber = u64;

/// A consuming connection with a channel for each lane.
#[derive(Default)]
pub struct Link(PerLane<Channel>);

#[derive(Default)]
struct Channel {
    delivered: u64,
    unacked: BTreeMap<u64, (Number, Message)>,
}

impl Link {
    pub fn in_flight(&self, lane: Lane) -> usize {
        self.0.get(lane).unacked.len()
    }

    pub fn is_idle(&self) -> bool {
        Lane::ALL.into_iter().all(|lane| self.in_flight(lane) == 0)
    }

    /// Gives a message its tag.
    pub fn deliver(&mut self, lane: Lane, number: Number, message: Message) -> u64 {
        let channel = self.0.get_mut(lane);
        channel.delivered += 1;
        channel.unacked.insert(channel.delivered, (number, message));
        channel.delivered
    }

    /// Removes the deliveries that a frame settles. A tag that is not in flight would close the channel of a real
    /// broker, so it is a fault of the sender.
    pub fn told(&mut self, lane: Lane, frame: Frame) -> Result<Vec<(Number, Message)>, String> {
        let unacked = &mut self.0.get_mut(lane).unacked;
        let Some(one) = unacked.remove(&frame.tag) else {
            return Err(format!("the broker was told of a tag that is not in flight: {frame:?}"));
        };
        let mut settled = Vec::new();
        if frame.multiple {
            let above = unacked.split_off(&frame.tag);
            settled.extend(std::mem::replace(unacked, above).into_values());
        }
        settled.push(one);
        Ok(settled)
    }

    /// All deliveries in flight, the latest first. Requeued one by one at the front, they keep the order of their
    /// delivery.
    pub fn unacked_last_first(self) -> impl Iterator<Item = (Lane, Number, Message)> {
        let PerLane { interactive, bulk } = self.0;
        let of = |lane, channel: Channel| {
            channel
                .unacked
                .into_values()
                .rev()
                .map(move |(number, message)| (lane, number, message))
        };
        of(Lane::Interactive, interactive).chain(of(Lane::Bulk, bulk))
    }
}
