//! Resolves host names.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

use tokio::task::{JoinHandle, spawn_blocking};

/// The most addresses of a name that are tried: more would get too little time each.
const MOST_ADDRESSES: usize = 8;

type Addresses = io::Result<Vec<SocketAddr>>;

/// Asks the system's resolver for the addresses of one host.
///
/// A lookup cannot be cancelled, and occupies a thread. So the next try awaits an unanswered lookup, and starts no
/// second one.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    asked: Option<JoinHandle<Addresses>>,
}

impl Resolver {
    /// The addresses of `host`, a name or an address.
    pub(crate) async fn addresses(&mut self, host: &str, port: u16) -> Addresses {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]);
        }
        let asked = self.asked.get_or_insert_with(|| {
            let host = host.to_owned();
            spawn_blocking(move || resolve(&host, port))
        });
        let answer = asked.await;
        self.asked = None;
        answer.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

fn resolve(host: &str, port: u16) -> Addresses {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in (host, port).to_socket_addrs()? {
        if addresses.len() < MOST_ADDRESSES && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    }
    Ok(addresses)
}
