//! A hold on the socket of a connection that is being made, to end it from outside, and to see its end.
//!
//! The client library cannot give a handshake up: abandoned, it would keep its task and its socket for as
//! long as the peer says nothing, and a peer that is gone says nothing for ever. Shut down, the socket
//! shows the library its end.

use std::{
    io::ErrorKind,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The hold; its clones hold the same socket.
#[derive(Debug, Clone, Default)]
pub struct Leash(Arc<Mutex<Option<TcpStream>>>);

impl Leash {
    /// Holds on to `socket`. Where the system has no descriptor left for that, nothing is held.
    pub fn hold(&self, socket: &impl AsFd) {
        let held = socket.as_fd().try_clone_to_owned().ok().map(TcpStream::from);
        // As its owner has it already: a look must never wait.
        *self.lock() = held.filter(|socket| socket.set_nonblocking(true).is_ok());
    }

    /// Whether the peer has ended it, and everything that it said before was read.
    pub fn is_over(&self) -> bool {
        match self.lock().as_ref().map(|socket| socket.peek(&mut [0])) {
            None => false,
            Some(Ok(waiting)) => waiting == 0,
            Some(Err(error)) => {
                !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
            }
        }
    }

    /// Lets go: a connection that is closed must not be kept open by this.
    pub fn release(&self) {
        *self.lock() = None;
    }

    /// Shuts the socket down, both ways; whether there was one.
    pub fn cut(&self) -> bool {
        let socket = self.lock().take();
        // One that is down already is what was wanted.
        socket.map(|socket| drop(socket.shutdown(Shutdown::Both))).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<TcpStream>> {
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
