//! `revoker healthcheck`: asks the worker's `/readyz`, for containers without curl.

#[cfg(test)]
mod tests;

use std::{fmt::Write as _, io, net::SocketAddr, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    Exit,
    admin_client::reachable,
    fail,
    output::{self, OutputArgs},
    text_style::TextStyle,
};
use crate::{
    admin::{Readiness, ReadinessState},
    domain::Redactor,
};

/// The most of an answer that is read, in bytes: several times the size of a real one.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Ask the worker on this machine whether it is ready
///
/// Exits 0 if it is ready or waits on purpose, 1 if it is not ready or cannot be reached.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Example:\n  revoker healthcheck --timeout 2s\n  revoker healthcheck --output json"
)]
pub struct HealthcheckArgs {
    /// The worker's admin address, in place of admin.listen
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    output: OutputArgs,
}

/// The result as JSON: the worker's readiness, or why it did not answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Health {
    Answered(Readiness),
    Silent { ready: bool, state: &'static str, error: String },
}

/// Asks the worker and prints its answer. `default_address` is the worker's configured address.
pub async fn run(args: HealthcheckArgs, default_address: SocketAddr) -> Exit {
    let health = check(&args, default_address).await;
    let ready = health.is_ready();
    let text = if args.output.is_json() { output::json(&health) } else { health.text() };
    match output::print(&text) {
        Err(failure) => fail(&failure),
        Ok(()) if ready => Exit::Done,
        Ok(()) => Exit::Failed,
    }
}

async fn check(args: &HealthcheckArgs, default_address: SocketAddr) -> Health {
    let address = reachable(args.address.unwrap_or(default_address));
    let late = |_| Err(io::Error::other("not within the time limit"));
    match timeout(args.timeout, ask(address)).await.unwrap_or_else(late) {
        Ok(readiness) => Health::Answered(readiness),
        Err(error) => Health::Silent {
            ready: false,
            state: "no_answer",
            error: format!("no answer from {address}: {error}"),
        },
    }
}

impl Health {
    fn is_ready(&self) -> bool {
        matches!(self, Self::Answered(readiness) if readiness.ready)
    }

    fn text(&self) -> String {
        match self {
            Self::Answered(readiness) => describe(readiness, output::text_style()),
            Self::Silent { error, .. } => format!("{error}\n"),
        }
    }
}

async fn ask(address: SocketAddr) -> io::Result<Readiness> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    parse(&answer).ok_or_else(|| io::Error::other("the answer is not from a worker"))
}

/// Parses the readiness out of an HTTP answer. The status is ignored, because the body says the same and more.
fn parse(answer: &[u8]) -> Option<Readiness> {
    let (head, body) = std::str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 ").then(|| serde_json::from_str(body).ok())?
}

/// Returns the state, and a line for each part that is not ready.
fn describe(readiness: &Readiness, style: TextStyle) -> String {
    let mut text = format!("{}\n", style.state(readiness.state.as_str()));
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
