//! Reads the admin pages of workers, with a limit on what is read.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// The most of a page that is read, in bytes: many times the size of a real one.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// An admin page of a worker.
#[derive(Debug)]
pub(super) struct AdminPage {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

/// Returns the address to connect to. A worker may listen on the unspecified address, which is no valid destination.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Asks the worker at `address`, a host and a port, for a page. Fails if it takes longer than `limit`.
pub(super) async fn page(address: &str, path: &str, limit: Duration) -> io::Result<AdminPage> {
    let late = |_| Err(io::Error::other("no answer within the time limit"));
    timeout(limit, ask(address, path)).await.unwrap_or_else(late)
}

async fn ask(address: &str, path: &str) -> io::Result<AdminPage> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::get(path)
        .header(header::HOST, address)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let answered = async move {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_PAGE_BYTES).collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        let text = String::from_utf8(body.into()).map_err(io::Error::other)?;
        Ok(AdminPage { status, text })
    };
    // The connection does the work of the answer, and its own error is the answer's too.
    let (answered, _) = tokio::join!(answered, connection);
    answered
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    /// The page of a server that answers with these bytes.
    async fn answered(answer: Vec<u8>) -> io::Result<AdminPage> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /metrics HTTP/1.1\r\n"));
            // A reader that has enough closes the connection.
            drop(stream.write_all(&answer).await);
        };
        tokio::join!(page(&address, "/metrics", LIMIT), serving).0
    }

    #[tokio::test]
    async fn a_page_is_read_with_its_status() {
        let page =
            answered(b"HTTP/1.1 503 no\r\ncontent-length: 5\r\n\r\nwords".to_vec()).await.unwrap();
        assert_eq!((page.status.as_u16(), page.text.as_str()), (503, "words"));
    }

    #[tokio::test]
    async fn a_page_that_is_too_long_or_no_page_is_an_error() {
        let mut long = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        long.resize(long.len() + MAX_PAGE_BYTES + 1, b'x');
        assert!(answered(long).await.unwrap_err().to_string().contains("length limit"));
        assert!(answered(b"SSH-2.0-other\r\n".to_vec()).await.is_err());
        assert!(
            answered(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut".to_vec()).await.is_err()
        );
        assert!(answered(b"HTTP/1.1 200 OK\r\n\r\n\xff".to_vec()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_stays_silent_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let error = page(&address, "/metrics", LIMIT).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer within the time limit");
    }
}
