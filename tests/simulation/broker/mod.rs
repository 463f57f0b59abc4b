//! The broker, as a worker sees it: queues that keep unacked messages, retry queues with delays, and sessions that end
//! without notice.

mod link;
mod message;
mod publishing;
mod session;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use lapin::types::ShortString;
use revoker::{
    broker::{
        OutgoingMessage, Queues,
        seams::{Frame, Settle},
    },
    domain::{History, Lane, PerLane},
    pipeline,
};
use tokio::{
    sync::{Notify, futures::Notified},
    time::{Instant, sleep_until},
};

pub use link::LinkNumber;
pub use message::{Message, forged};
pub use publishing::{Outgoing, publish};
pub use session::consume;

use crate::{
    witness::{Number, Witness},
    world::lock,
};
use link::Link;

/// The base name of the queues.
const FAMILY: &str = "q";

/// The queue of outcome events.
const EVENTS: &str = "events";

/// The broker.
pub struct Broker {
    pub queues: Arc<Queues>,
    /// The delays of the retry queues.
    stays: Vec<Duration>,
    state: Mutex<State>,
    arrived: Notify,
    parked: Notify,
}

#[derive(Default)]
struct State {
    lanes: PerLane<VecDeque<Message>>,
    /// Parked messages by the time at which their stay ends.
    parked: BTreeMap<(Instant, u64), (Lane, Message)>,
    dead: Vec<Message>,
    links: BTreeMap<LinkNumber, Link>,
    next: u64,
}

impl Broker {
    pub fn new(settings: &pipeline::Settings) -> Self {
        let stays = &settings.policy.retry.park;
        let events = settings.records.events.then_some(EVENTS);
        Self {
            queues: Arc::new(Queues::new(FAMILY, stays).with_outcomes(events)),
            stays: stays.clone(),
            state: Mutex::default(),
            arrived: Notify::new(),
            parked: Notify::new(),
        }
    }

    /// The name of a retry queue of a lane, which any producer can know.
    pub fn retry_queue(&self, lane: Lane) -> Option<&ShortString> {
        self.stays.first().and_then(|stay| self.queues.retry(lane, *stay))
    }

    /// Publishes a producer's message.
    pub fn publish(&self, lane: Lane, message: Message) {
        self.state().lanes.get_mut(lane).push_back(message);
        self.arrived.notify_waiters();
    }

    /// Whether only dead letters are left.
    pub fn is_idle(&self) -> bool {
        let state = self.state();
        Lane::ALL.into_iter().all(|lane| state.lanes.get(lane).is_empty())
            && state.parked.is_empty()
            && state.links.values().all(Link::is_idle)
    }

    /// Resolves when a message arrives after this call.
    pub fn arrival(&self) -> Notified<'_> {
        self.arrived.notified()
    }

    pub fn has_messages(&self, lane: Lane) -> bool {
        !self.state().lanes.get(lane).is_empty()
    }

    /// Whether a message is an outcome event.
    pub fn is_event(&self, letter: &OutgoingMessage) -> bool {
        self.queues.outcomes() == Some(&letter.queue)
    }

    /// The stay of a retry queue; `None` for the dead-letter queue.
    pub fn stay_of(&self, letter: &OutgoingMessage) -> Option<(Lane, Duration)> {
        let of = |lane| self.stays.iter().map(move |stay| (lane, *stay));
        let mut all = Lane::ALL.into_iter().flat_map(of);
        all.find(|(lane, stay)| self.queues.retry(*lane, *stay) == Some(&letter.queue))
    }

    /// Stores a message that a worker made of `from` in its queue.
    pub fn store(&self, letter: &OutgoingMessage, from: &Message, parked: Option<History>) {
        let copy = from.copied(letter, parked);
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        match self.stay_of(letter) {
            None => state.dead.push(copy),
            Some((lane, stay)) => {
                state.parked.insert((Instant::now() + stay, number), (lane, copy));
                self.parked.notify_one();
            }
        }
    }

    /// Returns parked messages to their lanes, each at its time. Never ends.
    pub async fn run_stays(&self, forgetful: bool) {
        loop {
            let next = self.state().parked.first_key_value().map(|((at, _), _)| *at);
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = due => {}
                () = self.parked.notified() => continue,
            }
            let came = self.state().parked.pop_first();
            if let Some((_, (lane, mut message))) = came {
                message.come_back(self.retry_queue(lane), forgetful);
                self.publish(lane, message);
            }
        }
    }

    /// A consuming connection.
    pub fn open(&self) -> LinkNumber {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        state.links.insert(number, Link::default());
        number
    }

    /// Delivers the next message of a lane, if there is one and the prefetch allows it. `note` gives the
    /// delivery its number.
    pub fn deliver(
        &self,
        link: LinkNumber,
        lane: Lane,
        prefetch: usize,
        note: impl FnOnce(&Message) -> Number,
    ) -> Option<(u64, Number, Message)> {
        let mut state = self.state();
        let state = &mut *state;
        let open = state.links.get_mut(&link)?;
        if open.in_flight(lane) >= prefetch {
            return None;
        }
        let message = state.lanes.get_mut(lane).pop_front()?;
        let number = note(&message);
        let tag = open.deliver(lane, number, message.clone());
        Some((tag, number, message))
    }

    /// Applies a worker's settlement frame.
    pub fn told(&self, link: LinkNumber, lane: Lane, frame: Frame, witness: &Witness) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(open) = state.links.get_mut(&link) else { return };
        match open.told(lane, frame) {
            Err(fault) => witness.violated(fault),
            Ok(settled) => {
                for (number, mut message) in settled {
                    witness.told(number, frame.settle);
                    match frame.settle {
                        Settle::Ack => {}
                        Settle::Requeue => {
                            message.redelivered = true;
                            state.lanes.get_mut(lane).push_front(message);
                        }
                        Settle::DeadLetter => state.dead.push(message),
                    }
                }
            }
        }
        self.arrived.notify_waiters();
    }

    /// Ends a consuming connection, in order or not. Unacked messages return to their positions. Returns the deliveries
    /// that were still in flight.
    pub fn close(&self, link: LinkNumber) -> Vec<Number> {
        let mut state = self.state();
        let state = &mut *state;
        let Some(link) = state.links.remove(&link) else { return Vec::new() };
        let mut lost = Vec::new();
        for (lane, number, mut message) in link.unacked_last_first() {
            lost.push(number);
            message.redelivered = true;
            state.lanes.get_mut(lane).push_front(message);
        }
        self.arrived.notify_waiters();
        lost
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
