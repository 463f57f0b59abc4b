//! The guard against a wrong secret: if nothing is revoked for a client, it asks at the terminal, or ends the sweep.

use std::{
    env,
    io::{self, IsTerminal as _},
    iter,
    sync::Arc,
};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{job_file::resume_command, output},
    domain::ClientKey,
    flow::{Dispatcher, PauseCause},
    input::STDIN,
    sweep,
    worker::ClientPauses,
};

/// The maximum number of clients in a message.
const NAMED: usize = 10;

pub(super) struct RevocationGuard {
    flow: Arc<Dispatcher>,
    pauses: Arc<ClientPauses>,
    asks: bool,
    is_file: bool,
}

impl RevocationGuard {
    /// It asks if standard input and standard error are a terminal, and the input is another file.
    pub(super) fn new(
        flow: Arc<Dispatcher>,
        pauses: Arc<ClientPauses>,
        input: &std::path::Path,
    ) -> Self {
        let asks = input != std::path::Path::new(STDIN)
            && io::stdin().is_terminal()
            && io::stderr().is_terminal();
        let is_file = sweep::is_file(input);
        Self { flow, pauses, asks, is_file }
    }

    /// Waits for a client for which nothing is revoked, unless the sweep stops. From then on no call starts: its
    /// token could be rejected too.
    pub(super) async fn unproved_client(&self, stopping: &CancellationToken) -> ClientKey {
        let mut status = self.flow.status();
        loop {
            status.borrow_and_update();
            if !stopping.is_cancelled()
                && let Some(client) = self.unproved().first()
            {
                self.flow.hold(true);
                return *client;
            }
            if status.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Returns whether the sweep continues with a client. If so, calls start again.
    pub(super) async fn allows(&self, client: ClientKey) -> bool {
        let allowed = self.asks && self.is_confirmed(client).await;
        if allowed {
            self.flow.lift_guard(client);
            self.flow.hold(false);
        }
        allowed
    }

    /// Returns the message for a sweep that the guard ended; `None` if it did not.
    pub(super) fn sentence(&self) -> Option<String> {
        let clients = self.unproved();
        let mut names: Vec<String> =
            clients.iter().take(NAMED).map(|client| self.pauses.id(*client)).collect();
        match clients.len() {
            0 => return None,
            1..=NAMED => {}
            more => names.push(format!("{} more", more - NAMED)),
        }
        let options = [("--force", None), ("--retry-failed", None)];
        let (options, input) =
            if self.is_file { (&options[1..], "") } else { (&options[..], " with the same input") };
        let arguments = iter::once("revoker".into()).chain(env::args_os().skip(1));
        let command = resume_command(arguments, options);
        Some(format!(
            "{}. Once that is corrected, this command{input} retries the rejected lines and \
             continues: {command} . If the tokens are already invalid, add --expect-dead.",
            self.claim(&names.join(", "))
        ))
    }

    fn claim(&self, clients: &str) -> String {
        let (audience, endpoint) = self.pauses.environment();
        format!(
            "this run revoked nothing for client {clients}: check its secret and the environment (audience \
             {audience}, endpoint {endpoint})"
        )
    }

    fn unproved(&self) -> Vec<ClientKey> {
        let pauses = self.flow.pauses().into_iter();
        let unproved = pauses.filter(|pause| pause.pause.cause == PauseCause::NothingRevoked);
        unproved.map(|pause| pause.client).collect()
    }

    async fn is_confirmed(&self, client: ClientKey) -> bool {
        let question = format!("{}; continue? [y/N] ", self.claim(&self.pauses.id(client)));
        let answer = spawn_blocking(move || output::ask(&question)).await;
        matches!(answer, Ok(Ok(answer)) if is_yes(&answer))
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_a_yes() {
        for (answer, expected) in [
            ("y\n", true),
            (" Y \r\n", true),
            ("yes\n", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yep\n", false),
            ("go on\n", false),
        ] {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }
}
