//! A sweep: its tasks, started together and awaited at the end.

use std::{
    fs::File,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::{
    task::{JoinError, JoinHandle},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    engine::{Engine, forward_demand, note_reloaded, serve_admin, tell_failures},
    error::WorkerError,
    reload::{ReloadSignals, ReloadableSecrets, keep_fresh},
    stop_signals::StopSignals,
};
use crate::{
    admin, input,
    pipeline::{FailureLog, Stop},
    ports::Endpoint,
    sweep::{
        self, LoadError, OpenedSweep, SourceEnd, SweepControl, SweepCounters, SweepPace,
        journal::{Journal, WriteError},
    },
};

pub struct RunningSweep {
    stop: Stop,
    control: SweepControl,
    journal: Journal,
    counters: Arc<SweepCounters>,
    started_before: u64,
    progress: input::ReadProgress,
    began: Instant,
    working: JoinHandle<()>,
    writing: JoinHandle<Result<Arc<File>, WriteError>>,
    /// Tasks that only wait for the others, and are aborted last.
    helpers: [JoinHandle<()>; 4],
    failures: Arc<FailureLog>,
    serving: Option<JoinHandle<()>>,
    close_admin: CancellationToken,
}

/// A sweep that ended or was interrupted.
pub struct SweepEnd {
    pub finished: bool,
    pub result: Result<(), SweepError>,
    /// The time from the first line to the last settlement.
    pub took: Duration,
    /// The share of the input that was read, from 0 to 1, if its size is known.
    pub read: Option<f64>,
    pub counters: Arc<SweepCounters>,
    /// The journal, locked for as long as this lives.
    pub _lock: Option<Arc<File>>,
}

#[derive(Debug, Error)]
pub enum SweepError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A bug: a task panicked.
    #[error("a part of the sweep failed")]
    Panic(#[from] JoinError),
}

impl RunningSweep {
    /// Starts all tasks, and serves metrics and probes at `admin`.
    pub async fn start<E: Endpoint>(
        engine: Engine<E>,
        opened: OpenedSweep,
        admin: Option<SocketAddr>,
        reload_signals: ReloadSignals,
    ) -> Result<Self, WorkerError> {
        let flow_state = engine.flow_state();
        let Engine { metrics, mut subject, credentials, verifying, flow, pipeline, stop, .. } =
            engine;
        let secrets = ReloadableSecrets { verifying, ..credentials.into() };
        let reloaded = note_reloaded(&flow);
        let OpenedSweep {
            source,
            control,
            writer,
            journal,
            counters,
            progress,
            started_before,
            ..
        } = opened;
        let close_admin = CancellationToken::new();
        let serving = match admin {
            None => None,
            Some(address) => {
                let parts: admin::ReadinessParts =
                    vec![("journal", Arc::new(journal.health())), ("flow", flow_state)];
                let pace = SweepPace::new(progress.clone(), Arc::clone(&counters));
                subject.sweep = Some(Box::new(move || pace.now()));
                Some(serve_admin(address, &metrics, parts, subject, close_admin.clone()).await?)
            }
        };
        let demanding = control.clone();
        let failures = Arc::clone(&pipeline.failures);
        let helpers = [
            tokio::spawn(tell_failures(Arc::clone(&failures))),
            tokio::spawn(forward_demand(Arc::clone(&flow), move |demand| demanding.want(demand))),
            tokio::spawn(flow.run(close_admin.clone())),
            tokio::spawn(keep_fresh(secrets, reload_signals, reloaded, close_admin.clone())),
        ];
        Ok(Self {
            stop,
            control,
            journal,
            counters,
            started_before,
            progress,
            began: Instant::now(),
            working: tokio::spawn(pipeline.run(source)),
            writing: tokio::spawn(writer.run()),
            helpers,
            failures,
            serving,
            close_admin,
        })
    }

    /// Waits until the sweep has ended. A signal stops it, or the token `stopping`, which is cancelled from then
    /// on. Returns `None` if a second signal ended it at once.
    pub async fn until_ended(
        mut self,
        mut signals: StopSignals,
        stopping: &CancellationToken,
        grace: Duration,
    ) -> Result<Option<SweepEnd>, SweepError> {
        let lost = self.journal.lost();
        let worked = tokio::select! {
            worked = &mut self.working => worked,
            () = lost.cancelled() => {
                // No verdict can be recorded any more, so further calls are useless.
                self.stop.cut_off();
                (&mut self.working).await
            }
            () = async {
                tokio::select! { () = signals.next() => {}, () = stopping.cancelled() => {} }
            } => {
                stopping.cancel();
                info!(grace = %humantime::format_duration(grace), "stopping");
                tokio::select! {
                    worked = leave(&self.control, &self.stop, grace, &mut self.working) => worked,
                    () = signals.next() => return Ok(None),
                }
            }
        };
        tokio::select! {
            ended = self.wind_up(worked) => ended.map(Some),
            // The journal's disk may hang.
            () = signals.next() => Ok(None),
        }
    }

    async fn wind_up(self, worked: Result<(), JoinError>) -> Result<SweepEnd, SweepError> {
        let took = self.began.elapsed();
        let end = self.control.take_end();
        let finished =
            sweep::close(&self.journal, &self.counters, end.as_ref(), self.started_before).await;
        for helper in self.helpers {
            helper.abort();
            // The task was aborted.
            let _ = helper.await;
        }
        self.failures.tell_rest();
        self.close_admin.cancel();
        if let Some(serving) = self.serving {
            // A failed admin server is no failure of the sweep.
            let _ = serving.await;
        }
        // The writer ends once all senders are dropped.
        drop(self.journal);
        let written = self.writing.await?;
        worked?;
        let (lock, result) = match (written, end) {
            (Err(fault), _) => (None, Err(fault.into())),
            (Ok(lock), Some(SourceEnd::Failed(fault))) => (Some(lock), Err(fault.into())),
            (Ok(lock), _) => (Some(lock), Ok(())),
        };
        let read = share(&self.progress);
        Ok(SweepEnd { finished, result, took, read, counters: self.counters, _lock: lock })
    }
}

/// Stops in order: no new jobs start, waiting jobs are requeued, and calls in flight are finished and recorded within
/// the grace.
async fn leave(
    control: &SweepControl,
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
        "the grace is over: tokens of calls in flight may be revoked, and are called again later"
    );
    stop.cut_off();
    working.await
}

fn share(progress: &input::ReadProgress) -> Option<f64> {
    let total = progress.total.filter(|total| *total > 0)?;
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    Some((progress.read() as f64 / total as f64).min(1.0))
}
