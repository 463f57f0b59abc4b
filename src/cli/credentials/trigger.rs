//! When the secrets are read again.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tracing::warn;

/// How often files are looked at: a rotation is taken up within this time.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// SIGHUP, and a timer where there are files to look at.
pub(super) struct Triggers {
    hangup: Option<Signal>,
    timer: Option<Interval>,
}

impl Triggers {
    /// Begins to listen; from here on SIGHUP does not end the process.
    pub(super) fn new(files: bool) -> Self {
        let hangup = signal(SignalKind::hangup())
            .inspect_err(|error| warn!("SIGHUP cannot be listened for: {error}"))
            .ok();
        let timer = files.then(|| {
            let mut timer = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer
        });
        Self { hangup, timer }
    }

    /// Waits for the next of either.
    pub(super) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        let timer = async {
            match &mut self.timer {
                Some(timer) => drop(timer.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = hangup => {}
            () = timer => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio::time::timeout;

    use super::*;

    /// Without a pause of the clock: the signal is the system's.
    #[tokio::test]
    async fn a_hangup_is_a_trigger_also_without_files() {
        let mut triggers = Triggers::new(false);
        let sent = Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status();
        assert!(sent.unwrap().success());
        triggers.next().await;
    }

    /// Apart from the signal, which reaches all tests of the process.
    #[tokio::test(start_paused = true)]
    async fn the_timer_runs_only_where_there_are_files() {
        let mut watching = Triggers { hangup: None, ..Triggers::new(true) };
        let began = Instant::now();
        watching.next().await;
        assert_eq!(began.elapsed(), LOOK_EVERY);
        watching.next().await;
        assert_eq!(began.elapsed(), LOOK_EVERY * 2);
        let mut quiet = Triggers { hangup: None, ..Triggers::new(false) };
        assert!(timeout(LOOK_EVERY * 100, quiet.next()).await.is_err());
    }
}
