//! The trigger for reading the secrets again.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tracing::warn;

use crate::worker::hangup::Hangup;

/// The time between two reads of the files: a rotated secret is in force within this time.
pub(super) const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// The signals that ask for a reload: SIGUSR1, and SIGHUP where it means that.
///
/// Create it before anything slow: without a handler, a signal ends the process, and a supervisor may ask for a reload
/// while the program still starts. A signal that arrives before the first wait is not lost.
#[derive(Debug)]
pub struct ReloadSignals {
    hangup: Option<Signal>,
    user: Option<Signal>,
}

impl ReloadSignals {
    /// Starts to listen.
    pub fn listen(hangup: Hangup) -> Self {
        let listen = |kind, name| {
            signal(kind).inspect_err(|error| warn!("{name} cannot be listened for: {error}")).ok()
        };
        let reloads = hangup == Hangup::Reloads;
        Self {
            hangup: reloads.then(|| listen(SignalKind::hangup(), "SIGHUP")).flatten(),
            user: listen(SignalKind::user_defined1(), "SIGUSR1"),
        }
    }
}

/// The signals, and a timer if there are files to read.
pub(super) struct ReloadTrigger {
    signals: ReloadSignals,
    timer: Option<Interval>,
}

impl ReloadTrigger {
    pub(super) fn new(files: bool, signals: ReloadSignals) -> Self {
        let timer = files.then(|| {
            let mut timer = interval_at(Instant::now() + RELOAD_INTERVAL, RELOAD_INTERVAL);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer
        });
        Self { signals, timer }
    }

    pub(super) async fn next(&mut self) {
        let Self { signals: ReloadSignals { hangup, user }, timer } = self;
        tokio::select! {
            Some(()) = async { hangup.as_mut()?.recv().await } => {}
            Some(()) = async { user.as_mut()?.recv().await } => {}
            Some(_) = async { Some(timer.as_mut()?.tick().await) } => {}
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio::time::timeout;

    use super::*;

    /// Runs on the real clock, because the system sends the signals.
    #[tokio::test]
    async fn either_signal_is_a_trigger_also_without_files() {
        let mut trigger = ReloadTrigger::new(false, ReloadSignals::listen(Hangup::Reloads));
        for signal in ["-HUP", "-USR1"] {
            let sent =
                Command::new("kill").args([signal, &std::process::id().to_string()]).status();
            assert!(sent.unwrap().success());
            trigger.next().await;
        }
    }

    #[tokio::test]
    async fn a_hangup_that_stops_or_is_ignored_is_no_trigger() {
        for hangup in [Hangup::Stops, Hangup::Ignored] {
            assert!(ReloadSignals::listen(hangup).hangup.is_none(), "{hangup:?}");
        }
    }

    /// Runs without the signals, which reach all tests of the process.
    #[tokio::test(start_paused = true)]
    async fn the_timer_runs_only_where_there_are_files() {
        let timed = |files| ReloadTrigger::new(files, ReloadSignals { hangup: None, user: None });
        let mut watching = timed(true);
        let began = Instant::now();
        watching.next().await;
        assert_eq!(began.elapsed(), RELOAD_INTERVAL);
        watching.next().await;
        assert_eq!(began.elapsed(), RELOAD_INTERVAL * 2);
        let mut quiet = timed(false);
        assert!(timeout(RELOAD_INTERVAL * 100, quiet.next()).await.is_err());
    }
}
