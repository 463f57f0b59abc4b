//! The part of HTTP/1.1 that a mock needs: requests and answers with a length, on persistent connections.
//!
//! No server library can reset a call without an answer.

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The largest request, in bytes: our calls are smaller.
const MOST_BYTES: usize = 64 * 1024;

/// The bytes of one read.
const READ_BYTES: usize = 4096;

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// A connection that was accepted.
    pub fn new(stream: TcpStream) -> Self {
        // Without it an answer may wait for the acknowledgement of the one before. A socket that refuses is closed.
        let _ = stream.set_nodelay(true);
        Self { stream, read: Vec::with_capacity(READ_BYTES) }
    }

    /// The body of the next request; `None` at the end of the connection.
    ///
    /// # Errors
    ///
    /// The error of the socket, or the request is too large.
    pub async fn request(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some((head, length)) = head(&self.read)
                && self.read.len() >= head + length
            {
                let rest = self.read.split_off(head + length);
                let request = std::mem::replace(&mut self.read, rest);
                return Ok(Some(request[head..].to_vec()));
            }
            if self.read.len() > MOST_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Answers.
    ///
    /// # Errors
    ///
    /// The error of the socket.
    pub async fn answer(&mut self, status: u16, body: &str) -> io::Result<()> {
        let kind = if body.starts_with('{') { "application/json" } else { "text/html" };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(answer.as_bytes()).await
    }

    /// Waits until the client gives up.
    pub async fn gone(&mut self) {
        let mut ignored = [0; 64];
        while matches!(self.stream.read(&mut ignored).await, Ok(1..)) {}
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        // Without lingering, closing the socket sends a reset and not an orderly end.
        let _ = self.stream.set_zero_linger();
    }
}

/// The length of the head, once it is complete, and that of the body.
fn head(read: &[u8]) -> Option<(usize, usize)> {
    let end = read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&read[..end]).unwrap_or_default();
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Some((end, length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)))
}
