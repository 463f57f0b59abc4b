//! What a sweep does where nothing is revoked for a client: it asks whoever sits at the terminal, or ends.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    sync::Arc,
};

use tokio::{sync::watch, task::spawn_blocking};

use super::again::again;
use crate::{
    domain::ClientKey,
    flow::{Dispatcher, PauseCause},
    sweep,
    worker::ClientPauses,
};

/// So many clients are named; the others are counted.
const NAMED: usize = 10;

/// Who may write to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Screen {
    /// The progress bar.
    Bar,
    /// The progress bar should vanish.
    Clearing,
    /// The question: the bar has vanished.
    Question,
}

/// Watches for clients for which nothing was revoked.
pub(super) struct Guard {
    flow: Arc<Dispatcher>,
    pauses: Arc<ClientPauses>,
    screen: watch::Sender<Screen>,
    asks: bool,
    is_file: bool,
}

impl Guard {
    /// Of a sweep of `input`. It asks where standard input and standard error are a terminal, and the input is
    /// another.
    pub(super) fn new(
        flow: Arc<Dispatcher>,
        pauses: Arc<ClientPauses>,
        input: &std::path::Path,
    ) -> Self {
        let asks = input != std::path::Path::new(sweep::STDIN)
            && io::stdin().is_terminal()
            && io::stderr().is_terminal();
        let is_file = sweep::is_file(input);
        Self { flow, pauses, screen: watch::Sender::new(Screen::Bar), asks, is_file }
    }

    /// Who may write to the terminal.
    pub(super) const fn screen(&self) -> &watch::Sender<Screen> {
        &self.screen
    }

    /// Returns once the sweep should end, because nothing is revoked for a client and nobody said to go on. No call
    /// starts from then on, nor while the question is open: each could condemn one more.
    pub(super) async fn until_refused(&self) {
        let mut status = self.flow.status();
        loop {
            status.borrow_and_update();
            if let Some(client) = self.unproved().first() {
                self.flow.hold(true);
                if !(self.asks && self.goes_on(*client).await) {
                    return;
                }
                self.flow.lift_guard(*client);
                self.flow.hold(false);
            } else if status.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The last words of a sweep that ends for this; `None` if it does not.
    pub(super) fn sentence(&self) -> Option<String> {
        let clients = self.unproved();
        let mut names: Vec<String> =
            clients.iter().take(NAMED).map(|client| self.pauses.id(*client)).collect();
        match clients.len() {
            0 => return None,
            1..=NAMED => {}
            more => names.push(format!("{} more", more - NAMED)),
        }
        let (goes_on, input) = if self.is_file {
            (again(&["--retry-failed"]), "")
        } else {
            (again(&["--force", "--retry-failed"]), " with the same input")
        };
        Some(format!(
            "{}. Once that is mended, this command{input} takes up what was rejected and goes on: {goes_on} . \
             Where the tokens are dead already, add --expect-dead.",
            self.claim(&names.join(", "))
        ))
    }

    fn claim(&self, clients: &str) -> String {
        let (audience, endpoint) = self.pauses.environment();
        format!(
            "nothing has been revoked for client {clients}: check its secret and the environment (audience \
             {audience}, endpoint {endpoint})"
        )
    }

    /// The clients that are paused because nothing was revoked for them.
    fn unproved(&self) -> Vec<ClientKey> {
        let pauses = self.flow.pauses().into_iter();
        let unproved = pauses.filter(|pause| pause.pause.cause == PauseCause::NothingRevoked);
        unproved.map(|pause| pause.client).collect()
    }

    /// Asks whether to go on with a client.
    async fn goes_on(&self, client: ClientKey) -> bool {
        let mut screen = self.screen.subscribe();
        self.screen.send_replace(Screen::Clearing);
        // It fails only without this sender.
        let _ = screen.wait_for(|screen| *screen == Screen::Question).await;
        let question = format!("{}; go on? [y/N] ", self.claim(&self.pauses.id(client)));
        let answer = spawn_blocking(move || ask(&question)).await;
        self.screen.send_replace(Screen::Bar);
        matches!(answer, Ok(Ok(answer)) if is_yes(&answer))
    }
}

/// Prints a question and reads a line. Blocks until it has come.
fn ask(question: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
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
