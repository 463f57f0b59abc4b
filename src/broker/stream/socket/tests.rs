use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::{TcpListener, TcpSocket};

use super::*;

const PEER: Peer<'static> = Peer {
    host: "localhost",
    url_key: "broker.url",
    ca_key: "broker.ca_file",
    has_ca: false,
    certificate_key: "broker.client_certificate_file",
    ports: "",
};

/// An address that takes no connection and refuses none: its queue of connections is full.
async fn silent() -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let full = Duration::from_millis(100);
    while let Ok(client) = timeout(full, TcpStream::connect(address)).await {
        queued.push(client.unwrap());
    }
    (address, (listener, queued))
}

async fn listening(host: impl Into<IpAddr>) -> TcpListener {
    TcpListener::bind((host.into(), 0)).await.unwrap()
}

#[tokio::test]
async fn a_silent_address_uses_up_its_share_and_the_next_one_is_tried() {
    let (silent, _queue) = silent().await;
    let listener = listening(Ipv4Addr::LOCALHOST).await;
    let addresses = [silent, listener.local_addr().unwrap()];
    let socket = connect(&addresses, Deadline::after(Duration::from_secs(2)), &PEER).await.unwrap();
    assert_eq!(socket.peer_addr().unwrap(), addresses[1]);
}

#[tokio::test]
async fn the_error_of_each_address_is_reported() {
    let (silent, _queue) = silent().await;
    let gone = listening(Ipv4Addr::LOCALHOST).await.local_addr().unwrap();
    let deadline = || Deadline::after(Duration::from_millis(300));
    let error = connect(&[silent, gone], deadline(), &PEER).await.unwrap_err();
    assert!(error.starts_with(&format!("{silent}: no answer; {gone}: ")), "{error}");
    let error = connect(&[gone], deadline(), &PEER).await.unwrap_err();
    assert!(error.contains("Connection refused") && error.contains("broker.url"), "{error}");
    let error = connect(&[silent], deadline(), &PEER).await.unwrap_err();
    assert_eq!(error, "no connection within 300ms: no answer from the host");
}

#[tokio::test]
async fn an_ipv6_address_is_as_good_as_any() {
    let listener = listening(Ipv6Addr::LOCALHOST).await;
    let address = listener.local_addr().unwrap();
    let socket =
        connect(&[address], Deadline::after(Duration::from_secs(60)), &PEER).await.unwrap();
    assert_eq!(socket.peer_addr().unwrap(), address);
    let socket = SockRef::from(&socket);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
}
