//! A sweep under way: every task that was started, each awaited when it ends.

use std::{
    fs::File,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinError, JoinHandle},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Failure,
    guard::{Guard, Screen},
};
use crate::{
    admin,
    cli::progress::{FileCounts, FileProgress},
    domain::Completion,
    flow::{Dispatcher, Phase},
    input,
    pipeline::Stop,
    ports::Endpoint,
    sweep::{
        self, Begun, Control, Counts, End, Tally,
        journal::{Journal, WriteError},
    },
    worker::{self, Engine, StopSignals},
};

/// A sweep under way.
pub(super) struct Running {
    stop: Stop,
    control: Control,
    journal: Journal,
    tally: Arc<Tally>,
    started_before: u64,
    progress: input::Progress,
    began: Instant,
    working: JoinHandle<()>,
    writing: JoinHandle<Result<Arc<File>, WriteError>>,
    /// What steers, shows and serves: it only waits, and is ended when all else has.
    guiding: Vec<JoinHandle<()>>,
    serving: Option<JoinHandle<()>>,
    close_admin: CancellationToken,
    guard: Arc<Guard>,
}

/// A sweep that is over, or interrupted.
pub(super) struct Ended {
    /// Whether every line has ended.
    pub(super) finished: bool,
    /// Why it could not go on, if it could not.
    pub(super) result: Result<(), Failure>,
    /// From the first line to the last settlement.
    pub(super) took: Duration,
    /// The share of the input that was read, if its size is known.
    pub(super) read: Option<f64>,
    /// What was counted.
    pub(super) tally: Arc<Tally>,
    /// Nobody else sweeps with this journal while this lives.
    pub(super) _lock: Option<Arc<File>>,
}

impl Running {
    /// Starts everything.
    pub(super) async fn start<E: Endpoint>(
        engine: Engine<E>,
        begun: Begun,
        guard: Arc<Guard>,
        admin: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let flow_state = engine.flow_state();
        let Engine { metrics, credentials, flow, pipeline, stop, .. } = engine;
        let reloaded = worker::note_reloaded(&flow);
        let Begun { source, control, writer, journal, tally, progress, started_before, .. } = begun;
        let close_admin = CancellationToken::new();
        let serving = match admin {
            None => None,
            Some(address) => {
                let parts: admin::ReadinessParts =
                    vec![("journal", Arc::new(journal.health())), ("flow", flow_state)];
                Some(worker::serve_admin(address, &metrics, parts, close_admin.clone()).await?)
            }
        };
        let guiding = vec![
            tokio::spawn(take_in(Arc::clone(&flow), control.clone())),
            tokio::spawn(show(
                progress.clone(),
                Arc::clone(&tally),
                Arc::clone(&flow),
                Arc::clone(&guard),
            )),
            tokio::spawn(flow.run(close_admin.clone())),
            tokio::spawn(worker::keep_fresh(credentials.into(), reloaded, close_admin.clone())),
        ];
        Ok(Self {
            stop,
            control,
            journal,
            tally,
            started_before,
            progress,
            began: Instant::now(),
            working: tokio::spawn(pipeline.run(source)),
            writing: tokio::spawn(writer.run()),
            guiding,
            serving,
            close_admin,
            guard,
        })
    }

    /// Waits for the end, for a signal, or for a client for which nothing is revoked; `None` if a second signal ended
    /// it.
    pub(super) async fn until_ended(
        mut self,
        mut signals: StopSignals,
        grace: Duration,
    ) -> Result<Option<Ended>, Failure> {
        let lost = self.journal.lost();
        let guard = Arc::clone(&self.guard);
        let worked = tokio::select! {
            worked = &mut self.working => worked,
            () = lost.cancelled() => {
                // No verdict can be kept any more: calls would be made for nothing.
                self.stop.cut_off();
                (&mut self.working).await
            }
            () = async {
                tokio::select! { () = signals.next() => {}, () = guard.until_refused() => {} }
            } => {
                info!(grace = %humantime::format_duration(grace), "stopping");
                tokio::select! {
                    worked = leave(&self.control, &self.stop, grace, &mut self.working) => worked,
                    () = signals.next() => return Ok(None),
                }
            }
        };
        tokio::select! {
            ended = self.wind_up(worked) => ended.map(Some),
            // The disk may hang.
            () = signals.next() => Ok(None),
        }
    }

    /// Says the last word in the journal, and ends what is left.
    async fn wind_up(self, worked: Result<(), JoinError>) -> Result<Ended, Failure> {
        let took = self.began.elapsed();
        let end = self.control.take_end();
        let finished =
            sweep::close(&self.journal, &self.tally, end.as_ref(), self.started_before).await;
        for guide in self.guiding {
            guide.abort();
            // It was aborted.
            let _ = guide.await;
        }
        self.close_admin.cancel();
        if let Some(serving) = self.serving {
            // Metrics that could not be served take nothing from the sweep.
            let _ = serving.await;
        }
        // The writer ends with the last way to it.
        drop(self.journal);
        let written = self.writing.await?;
        worked?;
        let (lock, result) = match (written, end) {
            (Err(fault), _) => (None, Err(fault.into())),
            (Ok(lock), Some(End::Failed(fault))) => (Some(lock), Err(fault.into())),
            (Ok(lock), _) => (Some(lock), Ok(())),
        };
        let read = share(&self.progress);
        Ok(Ended { finished, result, took, read, tally: self.tally, _lock: lock })
    }
}

/// Leaves in order: no new jobs; what waits is put back; what is called is finished and noted, within the
/// grace.
async fn leave(
    control: &Control,
    stop: &Stop,
    grace: Duration,
    working: &mut JoinHandle<()>,
) -> Result<(), JoinError> {
    control.stop();
    stop.start_draining();
    tokio::select! {
        worked = &mut *working => return worked,
        () = sleep(grace) => {}
    }
    warn!(
        "the grace is over: what is still in flight may have been revoked, and is called again later"
    );
    stop.cut_off();
    working.await
}

/// Asks the source for as many jobs as the flow wants.
async fn take_in(flow: Arc<Dispatcher>, control: Control) {
    let mut status = flow.status();
    loop {
        control.want(status.borrow_and_update().demand);
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Shows how far it is, until it is ended. While a question is open, the bar is gone.
async fn show(file: input::Progress, tally: Arc<Tally>, flow: Arc<Dispatcher>, guard: Arc<Guard>) {
    let mut screen = guard.screen().subscribe();
    loop {
        let before = tally.counts().all();
        let state = || {
            let counts = tally.counts();
            let paused = flow.status().borrow().phase != Phase::Running;
            FileCounts {
                done: counts.all().saturating_sub(before),
                counts: format!(
                    "{} revoked, {} failed, {}limit {}{}",
                    counts.ended(Completion::Revoked),
                    counts.failed(),
                    expired(&counts),
                    flow.limit(),
                    if paused { ", paused" } else { "" },
                ),
                detail: format!("{} lines ended, {} jobs put off", counts.all(), tally.put_off()),
                position: Some(position(file.read(), &counts, tally.seen())),
            }
        };
        let progress = FileProgress::new("sweep", file.clone());
        let asked = tokio::select! {
            never = progress.show(state) => match never {},
            asked = screen.wait_for(|screen| *screen == Screen::Clearing) => asked.is_ok(),
        };
        if !asked {
            return;
        }
        guard.screen().send_replace(Screen::Question);
        if screen.wait_for(|screen| *screen == Screen::Bar).await.is_err() {
            return;
        }
    }
}

/// The lines that ended without a call, if there are any: nobody expects them.
fn expired(counts: &Counts) -> String {
    match counts.ended(Completion::Expired) {
        0 => String::new(),
        expired => format!("{expired} expired, "),
    }
}

/// How far into the file lines have ended. The file is read well ahead of that: a small one is read as a
/// whole before the first call has ended.
fn position(read: u64, ended: &Counts, seen: u64) -> u64 {
    let ended = u128::from(ended.all().min(seen));
    let position = u128::from(read) * ended / u128::from(seen.max(1));
    u64::try_from(position).unwrap_or(read)
}

/// How much of the input was read.
fn share(progress: &input::Progress) -> Option<f64> {
    let total = progress.total.filter(|total| *total > 0)?;
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    Some((progress.read() as f64 / total as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::journal::{Fate, Fates};

    #[test]
    fn a_file_that_was_read_is_not_done() {
        let mut fates = Fates::default();
        for line in 1..=25 {
            fates.replace(line, Some(Fate::Repeated));
        }
        let ended = Counts::of(&fates);
        assert_eq!(position(1000, &ended, 100), 250);
        assert_eq!(position(1000, &ended, 25), 1000);
        assert_eq!(position(10, &ended, 1), 10, "most of them ended in a run before");
        assert_eq!(position(0, &ended, 0), 0);
    }
}
