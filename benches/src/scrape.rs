//! The worker's admin pages.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Fallible;

/// Requests a page, and expects status 200.
///
/// # Errors
///
/// No server listens there, or the answer has another status.
pub async fn page(admin: SocketAddr, path: &str) -> Fallible<String> {
    let mut stream = TcpStream::connect(admin).await?;
    // HTTP/1.0: the answer is neither chunked nor followed by another one.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: admin\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        status => Err(format!("{path} answers {}", status.unwrap_or("nonsense")).into()),
    }
}

/// The sum of `revoker_<name>` over all series that carry `label`, written as `name="value"`; an empty label matches
/// all series.
pub fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let carrying = samples(metrics, name).filter(|(series, _)| series.contains(label));
    carrying.map(|(_, value)| value).sum()
}

/// The series of `revoker_<name>` that are not zero, with their values.
pub fn nonzero(metrics: &str, name: &str) -> Vec<String> {
    let told = samples(metrics, name).filter(|(_, value)| *value != 0.0);
    told.map(|(series, value)| format!("{series} {value}")).collect()
}

fn samples<'a>(metrics: &'a str, name: &str) -> impl Iterator<Item = (&'a str, f64)> {
    let lines = metrics.lines().filter_map(|line| line.rsplit_once(' '));
    let of_name = lines.filter(move |(series, _)| {
        let series = series.strip_prefix("revoker_").and_then(|series| series.strip_prefix(name));
        series.is_some_and(|labels| labels.is_empty() || labels.starts_with('{'))
    });
    of_name.filter_map(|(series, value)| Some((series, value.parse().ok()?)))
}
