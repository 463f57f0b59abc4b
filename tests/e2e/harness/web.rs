//! A GET over a fresh connection, for the worker's admin address.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An answer: its status, its type and its body.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

/// Asks `address` for `path`.
pub async fn get(address: SocketAddr, path: &str) -> io::Result<Page> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: the answer is neither chunked nor followed by another one.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: admin\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    let content_type = content_type.unwrap_or_default().to_owned();
    Ok(Page { status, content_type, body: body.to_owned() })
}
