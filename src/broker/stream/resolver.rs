//! Host names and their addresses.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

use tokio::task::{JoinHandle, spawn_blocking};

/// Addresses of one name that are tried; each of more would get too short a share of the time.
const MOST_ADDRESSES: usize = 8;

type Addresses = io::Result<Vec<SocketAddr>>;

/// Asks the system's resolver for the addresses of one host.
///
/// Its question cannot be taken back, and each one occupies a thread. So one that was not answered in time
/// is waited for by the next try, and no second one is asked beside it.
#[derive(Debug, Default)]
pub struct Resolver {
    asked: Option<JoinHandle<Addresses>>,
}

impl Resolver {
    /// The addresses of `host`, which is a name or an address itself.
    ///
    /// # Errors
    ///
    /// The resolver's.
    pub async fn addresses(&mut self, host: &str, port: u16) -> Addresses {
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
