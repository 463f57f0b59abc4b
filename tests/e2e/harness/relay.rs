//! A TCP relay on loopback whose port the worker uses in place of the broker's. It can refuse, reset, hold, drop, slow,
//! slice or truncate the data.

mod confirms;
mod connection;
mod frames;
mod garble;
mod held;
mod line;
mod passage;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};

use super::wait::HANG_GUARD;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use connection::serve;
pub use frames::{Frame, Torn};
use held::Held;
pub use line::{Carried, Line};
use passage::Passage;

/// The end of the name of the worker's consuming connections. The space distinguishes it from `consumer_cancel_notify`,
/// which every client sends.
pub const CONSUMING: &str = " consume";

/// A port that leads to a target while the relay is open.
pub struct Relay {
    address: SocketAddr,
    passage: Passage,
    /// A bound socket that never listens: it reserves the port while the relay is closed.
    _port: TcpSocket,
    serving: Option<(CancellationToken, JoinHandle<()>)>,
}

/// The bytes of each connection that are passed on before the relay stalls and holds it open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stall {
    /// From the product.
    pub to_target: Option<u64>,
    /// To the product.
    pub from_target: Option<u64>,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the product.
    ToTarget,
    /// To the product.
    FromTarget,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

impl Relay {
    /// Takes a port and does not listen on it yet: connections to it are refused.
    pub fn shut(target: SocketAddr) -> Self {
        Self::shut_at((Ipv4Addr::LOCALHOST, 0).into(), target)
    }

    /// The same at an address of this machine. Port 0 selects a free port.
    pub fn shut_at(address: SocketAddr, target: SocketAddr) -> Self {
        let port = TcpSocket::new_v4().unwrap();
        // The listeners have this option too. Without it they could not share the port.
        port.set_reuseaddr(true).unwrap();
        port.bind(address).unwrap();
        let address = port.local_addr().unwrap();
        Self { address, passage: Passage::to(target), _port: port, serving: None }
    }

    /// Listens and relays this part of each connection.
    pub async fn open_until(target: SocketAddr, stall: Stall) -> Self {
        let mut relay = Self::shut(target);
        relay.passage.stall = stall;
        relay.reopen().await;
        relay
    }

    /// Listens and relays over a bad line.
    pub async fn open_over(target: SocketAddr, line: Line) -> Self {
        let mut relay = Self::shut(target);
        relay.passage.line = line;
        relay.reopen().await;
        relay
    }

    /// Listens and relays AMQP, so that confirms can be withheld.
    pub async fn open_to_broker(target: SocketAddr) -> Self {
        let mut relay = Self::shut(target);
        relay.passage.knows_confirms = true;
        relay.reopen().await;
        relay
    }

    /// Listens and relays.
    pub async fn open(target: SocketAddr) -> Self {
        let mut relay = Self::shut(target);
        relay.reopen().await;
        relay
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen.
    pub async fn reopen(&mut self) {
        // Two cannot listen at once.
        self.closed().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        let closing = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, self.passage.clone(), closing.clone()));
        self.serving = Some((closing, serving));
    }

    /// Relays connections made from now on to another target.
    pub fn lead_to(&self, target: SocketAddr) {
        self.passage.target.send_replace(target);
    }

    /// Resets every connection; new ones are relayed.
    pub fn reset(&self) {
        self.passage.resets.send_modify(|count| *count += 1);
    }

    /// Holds all data in both directions. Connections stay open.
    pub fn hold(&self) {
        self.passage.held.send_replace(Held::All);
    }

    /// The same only for connections with this name. The worker sends each connection's purpose to the broker.
    pub fn hold_named(&self, name: &'static str) {
        self.passage.held.send_replace(Held::Named(name));
    }

    /// Holds all data once this many further octets have come from the product. Its later data is held as well.
    pub fn hold_after(&self, octets: usize) {
        self.passage.until_held.send_replace(Some(octets));
    }

    /// Waits until the data is held.
    pub async fn held(&self) {
        let mut held = self.passage.held.subscribe();
        let held = tokio::time::timeout(HANG_GUARD, held.wait_for(|held| *held == Held::All)).await;
        assert!(held.is_ok(), "nothing was held");
    }

    /// Passes on the held data and everything after it.
    pub fn release(&self) {
        self.passage.held.send_replace(Held::None);
    }

    /// Withholds the confirms of the broker beyond this tag of each channel.
    pub fn confirm_up_to(&self, tag: u64) {
        assert!(self.passage.knows_confirms, "it does not know a confirm when it sees one");
        self.passage.confirmed_up_to.send_replace(Some(tag));
    }

    /// Waits until the product got confirms up to this tag on some channel.
    pub async fn confirmed(&self, tag: u64) {
        let mut confirmed = self.passage.confirmed.subscribe();
        let confirmed =
            tokio::time::timeout(HANG_GUARD, confirmed.wait_for(|highest| *highest >= tag)).await;
        assert!(confirmed.is_ok(), "{tag} was not confirmed");
    }

    /// Waits until the broker has confirmed that tag on some channel, and the confirm is withheld.
    pub async fn withheld(&self, tag: u64) {
        let mut withheld = self.passage.withheld.subscribe();
        let withheld =
            tokio::time::timeout(HANG_GUARD, withheld.wait_for(|highest| *highest >= tag)).await;
        let (passed, most) = (*self.passage.confirmed.borrow(), self.highest_withheld());
        assert!(
            withheld.is_ok(),
            "no confirm of {tag} was withheld: {passed} was passed on, and {most} is the highest withheld"
        );
    }

    /// The highest tag whose confirm was withheld so far.
    pub fn highest_withheld(&self) -> u64 {
        *self.passage.withheld.borrow()
    }

    /// Passes on the confirms that were withheld, and everything after them.
    pub fn release_confirms(&self) {
        self.passage.confirmed_up_to.send_replace(None);
    }

    /// Drops all data of the present connections, including their closes, without a notice. New connections are
    /// relayed.
    pub fn swallow(&self) {
        self.passage.holes.send_modify(|count| *count += 1);
    }

    /// Swallows every connection made from now on as well, or no longer.
    pub fn swallow_new(&self, swallow: bool) {
        self.passage.swallows_new.send_replace(swallow);
    }

    /// How many bytes were swallowed so far.
    pub fn swallowed(&self) -> usize {
        *self.passage.swallowed.borrow()
    }

    /// Cuts the next AMQP frame of this type in this direction in two, and resets its connection.
    pub fn tear(&self, way: Way, frame: Frame) {
        self.passage.torn.send_replace(None);
        self.passage.tearing.send_replace(Some((way, frame)));
    }

    /// Waits until a frame was torn; returns it.
    pub async fn torn(&self) -> Torn {
        let mut torn = self.passage.torn.subscribe();
        let torn = tokio::time::timeout(HANG_GUARD, torn.wait_for(Option::is_some)).await;
        torn.expect("nothing was torn").unwrap().expect("just seen")
    }

    /// Cuts each connection of this name at each piece of a message's body that is delivered to it. `None` stops that.
    pub fn cut_deliveries_of(&self, name: Option<&'static str>) {
        self.passage.cutting.send_replace(name);
    }

    /// Waits until this many connections were cut at a delivery.
    pub async fn cut_often(&self, times: usize) {
        let mut cuts = self.passage.cuts.subscribe();
        let often = cuts.wait_for(|count| *count >= times);
        let often = tokio::time::timeout(HANG_GUARD, often).await.is_ok();
        assert!(often, "less than {times} were cut");
    }

    /// The number of connections that were cut at a delivery.
    pub fn cuts(&self) -> usize {
        *self.passage.cuts.borrow()
    }

    /// Corrupts each connection after this text of the product.
    pub fn garble_behind(&self, text: &str) {
        self.passage.garbling.send_replace(Some(text.to_owned()));
    }

    /// Waits until this many connections were corrupted.
    pub async fn garbled_often(&self, times: usize) {
        let mut garbled = self.passage.garbled.subscribe();
        let often = garbled.wait_for(|count| *count >= times);
        let often = tokio::time::timeout(HANG_GUARD, often).await.is_ok();
        assert!(often, "less than {times} were garbled");
    }

    /// Waits until a connection was stalled.
    pub async fn stalled(&self) {
        self.stalled_often(1).await;
    }

    /// Waits until this many connections were stalled, in sequence or at once.
    pub async fn stalled_often(&self, times: usize) {
        let mut stalled = self.passage.stalled.subscribe();
        let often = stalled.wait_for(|count| *count >= times);
        let stalled = tokio::time::timeout(HANG_GUARD, often).await.is_ok();
        assert!(stalled, "less than {times} were stalled");
    }

    /// The counts of its line.
    pub fn carried(&self) -> &Carried {
        &self.passage.carried
    }

    /// Makes its task reset every connection and refuse new ones.
    pub fn close(&mut self) {
        if let Some((closing, _)) = &self.serving {
            closing.cancel();
        }
    }

    /// Closes it, and waits until every connection is reset and new ones are refused.
    pub async fn closed(&mut self) {
        self.close();
        if let Some((_, serving)) = self.serving.take() {
            serving.await.unwrap();
        }
    }
}
