//! A hand-written HTTP/1.1 server over plain or TLS sockets, because a library cannot reset, hang or send invalid data.

use std::{collections::BTreeMap, fmt::Write as _, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::server::TlsStream;

/// The longest request of the worker, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// A connection, plain or TLS.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// Ends it with a reset in place of an orderly close.
    fn reset(self);
}

impl Wire for TcpStream {
    fn reset(self) {
        let _ = self.set_zero_linger();
    }
}

impl Wire for TlsStream<TcpStream> {
    fn reset(self) {
        let _ = self.get_ref().0.set_zero_linger();
    }
}

/// A request: its head as text, its body as bytes.
#[derive(Debug, Clone)]
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The token of its body; empty if there is none.
    pub fn token(&self) -> String {
        if self.header("content-type") == Some("application/x-www-form-urlencoded") {
            return self.form().remove("token").unwrap_or_default();
        }
        self.json()["refresh_token"].as_str().unwrap_or_default().to_owned()
    }

    /// The body as a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Reads one request; `None` if the connection ends before it does.
pub async fn read(wire: &mut impl Wire) -> io::Result<Option<Request>> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let mut request = Request { head, body: read.split_off(end + 4) };
            let length = request.header("content-length").map_or(Ok(0), str::parse);
            let length: usize = length.map_err(io::Error::other)?;
            while request.body.len() < length {
                if wire.read_buf(&mut request.body).await? == 0 {
                    return Ok(None);
                }
            }
            return Ok(Some(request));
        }
        if wire.read_buf(&mut read).await? == 0 || read.len() > MAX_REQUEST {
            return Ok(None);
        }
    }
}

/// Writes one answer, and calls `note` before its last byte; the connection stays open for the next
/// request.
pub async fn write(
    wire: &mut impl Wire,
    answer: &[u8],
    note: impl FnOnce() + Send,
) -> io::Result<()> {
    let (most, last) = answer.split_at(answer.len() - 1);
    wire.write_all(most).await?;
    note();
    wire.write_all(last).await?;
    wire.flush().await
}

/// The same a byte at a time.
pub async fn drip(
    wire: &mut impl Wire,
    pause: Duration,
    answer: &[u8],
    note: impl FnOnce() + Send,
) -> io::Result<()> {
    let (most, last) = answer.split_at(answer.len() - 1);
    for byte in most {
        wire.write_all(&[*byte]).await?;
        wire.flush().await?;
        sleep(pause).await;
    }
    note();
    wire.write_all(last).await?;
    wire.flush().await
}

/// Writes a body in chunks until the peer closes the connection.
pub async fn flood(wire: &mut impl Wire) -> io::Result<()> {
    wire.write_all(b"HTTP/1.1 200 Scripted\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let chunk = [&b"4000\r\n"[..], &[b' '; 0x4000], b"\r\n"].concat();
    loop {
        wire.write_all(&chunk).await?;
    }
}

/// One answer as bytes.
pub fn render(status: u16, headers: &[(&'static str, String)], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(answer, "{name}: {value}\r\n");
    }
    answer.push_str("\r\n");
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(body);
    answer
}
