//! The signals that ask a process to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

use super::hangup::Hangup;

#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    /// `None` if SIGHUP does not stop this process, or did so already.
    hangup: Option<Signal>,
}

impl StopSignals {
    /// Starts to listen, for a command. From here on, none of the signals ends the process by itself.
    pub fn listen() -> io::Result<Self> {
        Self::with(Hangup::of_command())
    }

    /// Starts to listen, with this meaning of SIGHUP.
    pub(super) fn with(hangup: Hangup) -> io::Result<Self> {
        let hangup = (hangup == Hangup::Stops).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
        })
    }

    /// Waits for the next signal. A closed terminal counts once: the shell and the system each send SIGHUP for it, and
    /// a second signal would end the process at once. After another signal, a closed terminal counts no more.
    pub async fn next(&mut self) {
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let is_hangup = tokio::select! {
            biased;
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
            _ = hung_up => true,
        };
        // The handler stays, so further ones are ignored.
        self.hangup = None;
        if is_hangup {
            warn!("SIGHUP: the terminal was closed");
        }
    }
}
