//! `revoker healthcheck`: asks the worker's `/readyz`, for containers without curl.

#[cfg(test)]
mod tests;

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{Exit, fail, output};
use crate::{
    admin::{Readiness, ReadinessState},
    domain::Redactor,
};

/// The most of an answer that is read, in bytes: several times the size of a real one.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Ask the worker on this machine whether it is ready
///
/// Exits 0 if it is ready or waits on purpose, 1 if it is not ready or cannot be reached.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  revoker healthcheck --timeout 2s")]
pub struct HealthcheckArgs {
    /// The worker's admin address, in place of admin.listen
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Asks the worker and prints its answer. `default_address` is where the worker is configured to listen.
pub fn run(args: &HealthcheckArgs, default_address: SocketAddr) -> Exit {
    let (text, ready) = check(args, default_address);
    match output::print(&text) {
        Err(failure) => fail(&failure),
        Ok(()) if ready => Exit::Done,
        Ok(()) => Exit::Failed,
    }
}

/// Returns the text to print, and whether the worker is ready.
fn check(args: &HealthcheckArgs, default_address: SocketAddr) -> (String, bool) {
    let address = reachable(args.address.unwrap_or(default_address));
    match ask(address, &TimeLimit::start(args.timeout)) {
        Ok(readiness) => (describe(&readiness), readiness.ready),
        Err(error) => (format!("no answer from {address}: {error}\n"), false),
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
enum AskError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("not within the time limit")]
    TimedOut,
    #[error("what answered is no revoker")]
    NotRevoker,
}

/// Returns the address to connect to. Nobody can connect to the unspecified address, on which a worker may listen.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr, limit: &TimeLimit) -> Result<Readiness, AskError> {
    let mut stream = TcpStream::connect_timeout(&address, limit.left()?).map_err(timed)?;
    stream.set_write_timeout(Some(limit.left()?))?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(timed)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        // Each read gets the remaining time, so that a slow server cannot exceed the limit.
        stream.set_read_timeout(Some(limit.left()?))?;
        match stream.read(&mut chunk).map_err(timed)? {
            0 => break,
            read if answer.len() + read > MAX_ANSWER_BYTES => return Err(AskError::NotRevoker),
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
    parse(&answer).ok_or(AskError::NotRevoker)
}

/// One time limit for several steps.
struct TimeLimit {
    start: Instant,
    limit: Duration,
}

impl TimeLimit {
    fn start(limit: Duration) -> Self {
        Self { start: Instant::now(), limit }
    }

    /// Returns the remaining time. It is never zero, which the system takes for "no limit".
    fn left(&self) -> Result<Duration, AskError> {
        let left = self.limit.saturating_sub(self.start.elapsed());
        if left.is_zero() { Err(AskError::TimedOut) } else { Ok(left) }
    }
}

fn timed(error: io::Error) -> AskError {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => AskError::TimedOut,
        _ => error.into(),
    }
}

/// Parses the readiness out of an HTTP answer. The status is ignored, because the body says the same and more.
fn parse(answer: &[u8]) -> Option<Readiness> {
    let (head, body) = std::str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 ").then(|| serde_json::from_str(body).ok())?
}

/// Returns the state, and a line for each part that is not ready.
fn describe(readiness: &Readiness) -> String {
    let mut text = format!("{}\n", readiness.state.as_str());
    let one_line = Redactor::default();
    for (name, part) in &readiness.parts {
        if part.state == ReadinessState::Ready {
            continue;
        }
        let reason = part.reason.as_deref().unwrap_or("no reason given");
        let since = part.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
        let line = format!("{name}: {}{since}: {reason}", part.state.as_str());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", one_line.clean(&line));
    }
    text
}
