//! A hold on the socket of a connection that is being made, to end it from outside, and to see its end.
//!
//! The client library cannot give a handshake up: abandoned, it would keep its task and its socket for as
//! long as the peer says nothing, and a peer that is gone says nothing for ever. Shut down, the socket
//! shows the library its end.
//!
//! Nor does the library always tell that there will be no socket: where the address refuses, or the name is
//! not known, between two of its first steps, its promise stays unkept. So a failure is noted here too.

use std::{
    io::ErrorKind,
    mem,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The hold; its clones hold the same socket.
#[derive(Debug, Clone, Default)]
pub struct Leash(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
enum Held {
    /// No socket: there is none yet, or it was let go.
    #[default]
    Nothing,
    Socket(TcpStream),
    /// There will be no connection, for this reason.
    Failure(String),
}

impl Leash {
    /// Holds on to `socket`. Where the system has no descriptor left for that, nothing is held.
    pub fn hold(&self, socket: &impl AsFd) {
        let held = socket.as_fd().try_clone_to_owned().ok().map(TcpStream::from);
        // As its owner has it already: a look must never wait.
        let held = held.filter(|socket| socket.set_nonblocking(true).is_ok());
        *self.lock() = held.map_or(Held::Nothing, Held::Socket);
    }

    /// Notes that there will be no connection, and why.
    pub fn fail(&self, why: String) {
        *self.lock() = Held::Failure(why);
    }

    /// Why there will be no connection, if that is so.
    pub fn failure(&self) -> Option<String> {
        match &*self.lock() {
            Held::Failure(why) => Some(why.clone()),
            Held::Nothing | Held::Socket(_) => None,
        }
    }

    /// Whether it failed, or the peer has ended it and everything that it said before was read.
    pub fn is_over(&self) -> bool {
        match &*self.lock() {
            Held::Nothing => false,
            Held::Failure(_) => true,
            Held::Socket(socket) => match socket.peek(&mut [0]) {
                Ok(waiting) => waiting == 0,
                Err(error) => {
                    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
                }
            },
        }
    }

    /// Lets go: a connection that is closed must not be kept open by this.
    pub fn release(&self) {
        *self.lock() = Held::Nothing;
    }

    /// Shuts the socket down, both ways; whether it is certain now that the connection ends.
    pub fn cut(&self) -> bool {
        match mem::take(&mut *self.lock()) {
            Held::Nothing => false,
            Held::Failure(_) => true,
            Held::Socket(socket) => {
                // One that is down already is what was wanted.
                drop(socket.shutdown(Shutdown::Both));
                true
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn whoever_reads_from_a_socket_that_is_cut_sees_its_end() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut silent, _) = listener.accept().unwrap();
        let leash = Leash::default();
        assert!(!leash.cut(), "there was nothing to cut");
        leash.hold(&socket);
        assert!(leash.clone().cut());
        assert_eq!(socket.read(&mut [0]).unwrap(), 0);
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        assert!(!leash.cut(), "it was cut before");
    }

    #[test]
    fn the_end_of_the_peer_is_seen_once_all_else_was_read() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let leash = Leash::default();
        assert!(!leash.is_over(), "there is nothing");
        leash.hold(&socket);
        assert!(!leash.is_over(), "it may say something yet");
        peer.write_all(&[1]).unwrap();
        drop(peer);
        socket.set_nonblocking(false).unwrap();
        socket.read_exact(&mut [0]).unwrap();
        // The end follows what was said, and may be a moment behind it.
        assert_eq!(socket.peek(&mut [0]).unwrap(), 0);
        assert!(leash.is_over());
    }

    #[test]
    fn what_failed_without_a_socket_is_over_and_can_be_given_up() {
        let leash = Leash::default();
        leash.clone().fail("no such name".to_owned());
        assert!(leash.is_over());
        assert_eq!(leash.failure().as_deref(), Some("no such name"));
        assert!(leash.cut());
        assert_eq!(leash.failure(), None);
    }

    #[test]
    fn a_socket_that_was_let_go_is_closed_by_its_owner() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let leash = Leash::default();
        leash.hold(&socket);
        leash.release();
        drop(socket);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}
