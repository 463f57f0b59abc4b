//! The settings of a relay: a test sets them, and each connection obeys them.

use std::net::SocketAddr;

use tokio::sync::watch;

use super::{Carried, Frame, Line, Stall, Torn, Way, confirms::Confirms, held::Held};

/// The shared state of all connections.
#[derive(Clone)]
pub(super) struct Passage {
    pub(super) target: watch::Sender<SocketAddr>,
    /// The number of resets: a connection ends when it increases.
    pub(super) resets: watch::Sender<usize>,
    pub(super) held: watch::Sender<Held>,
    /// Octets from the product that may still pass before everything is held.
    pub(super) until_held: watch::Sender<Option<usize>>,
    /// The number of losses: the data of a connection is lost when it increases.
    pub(super) holes: watch::Sender<usize>,
    pub(super) swallows_new: watch::Sender<bool>,
    pub(super) swallowed: watch::Sender<usize>,
    pub(super) knows_confirms: bool,
    /// The tag of each channel beyond which confirms are withheld.
    pub(super) confirmed_up_to: watch::Sender<Option<u64>>,
    /// The highest tag whose confirm was passed on, and the highest that was withheld.
    pub(super) confirmed: watch::Sender<u64>,
    pub(super) withheld: watch::Sender<u64>,
    pub(super) tearing: watch::Sender<Option<(Way, Frame)>>,
    pub(super) torn: watch::Sender<Option<Torn>>,
    /// The name of the connections that are cut at each body.
    pub(super) cutting: watch::Sender<Option<&'static str>>,
    pub(super) cuts: watch::Sender<usize>,
    /// The text behind which a connection is garbled.
    pub(super) garbling: watch::Sender<Option<String>>,
    pub(super) garbled: watch::Sender<usize>,
    pub(super) stall: Stall,
    /// Counts the directions of connections that were stalled.
    pub(super) stalled: watch::Sender<usize>,
    pub(super) line: Line,
    pub(super) carried: Carried,
}

impl Passage {
    pub(super) fn to(target: SocketAddr) -> Self {
        Self {
            target: watch::Sender::new(target),
            resets: watch::Sender::new(0),
            held: watch::Sender::new(Held::None),
            until_held: watch::Sender::new(None),
            holes: watch::Sender::new(0),
            swallows_new: watch::Sender::new(false),
            swallowed: watch::Sender::new(0),
            knows_confirms: false,
            confirmed_up_to: watch::Sender::new(None),
            confirmed: watch::Sender::new(0),
            withheld: watch::Sender::new(0),
            tearing: watch::Sender::new(None),
            torn: watch::Sender::new(None),
            cutting: watch::Sender::new(None),
            cuts: watch::Sender::new(0),
            garbling: watch::Sender::new(None),
            garbled: watch::Sender::new(0),
            stall: Stall::default(),
            stalled: watch::Sender::new(0),
            line: Line::default(),
            carried: Carried::default(),
        }
    }

    /// Publishes the tags up to which confirms were passed on and withheld.
    pub(super) fn tell(&self, confirms: &Confirms) {
        let (confirmed, withheld) = (confirms.highest_passed(), confirms.highest());
        self.confirmed.send_modify(|before| *before = confirmed.max(*before));
        self.withheld.send_modify(|before| *before = withheld.max(*before));
    }

    /// Counts octets from the product that are about to pass, and holds them if they are too many.
    pub(super) fn count_down(&self, octets: usize) {
        self.until_held.send_modify(|left| match left.map(|left| left.checked_sub(octets)) {
            Some(None) => {
                *left = None;
                self.held.send_replace(Held::All);
            }
            Some(less) => *left = less,
            None => {}
        });
    }
}
