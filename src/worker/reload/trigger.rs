//! The trigger for reading the secrets again.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tracing::warn;

/// The time between two reads of the files: a rotated secret is in force within this time.
pub(super) const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// SIGHUP, and a timer if there are files to read.
pub(super) struct ReloadTrigger {
    hangup: Option<Signal>,
    timer: Option<Interval>,
}

impl ReloadTrigger {
    /// Starts to listen. From here on, SIGHUP does not end the process.
    pub(super) fn new(files: bool) -> Self {
        let hangup = signal(SignalKind::hangup())
            .inspect_err(|error| warn!("SIGHUP cannot be listened for: {error}"))
            .ok();
        let timer = files.then(|| {
            let mut timer = interval_at(Instant::now() + RELOAD_INTERVAL, RELOAD_INTERVAL);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer
        });
        Self { hangup, timer }
    }

    pub(super) async fn next(&mut self) {
        let Self { hangup, timer } = self;
        tokio::select! {
            Some(()) = async { hangup.as_mut()?.recv().await } => {}
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

    /// Runs on the real clock, because the system sends the signal.
    #[tokio::test]
    async fn a_hangup_is_a_trigger_also_without_files() {
        let mut trigger = ReloadTrigger::new(false);
        let sent = Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status();
        assert!(sent.unwrap().success());
        trigger.next().await;
    }

    /// Runs without the signal, which reaches all tests of the process.
    #[tokio::test(start_paused = true)]
    async fn the_timer_runs_only_where_there_are_files() {
        let mut watching = ReloadTrigger { hangup: None, ..ReloadTrigger::new(true) };
        let began = Instant::now();
        watching.next().await;
        assert_eq!(began.elapsed(), RELOAD_INTERVAL);
        watching.next().await;
        assert_eq!(began.elapsed(), RELOAD_INTERVAL * 2);
        let mut quiet = ReloadTrigger { hangup: None, ..ReloadTrigger::new(false) };
        assert!(timeout(RELOAD_INTERVAL * 100, quiet.next()).await.is_err());
    }
}
