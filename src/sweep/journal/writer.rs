//! Appends to the journal, with one sync for many records.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinError, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::record::JournalRecord;
use crate::ports::{Condition, Report};

/// The maximum number of waiting requests; there are never more jobs in flight.
const WAITING: usize = 1024;

/// No request is added to a batch of this many bytes.
const BATCH_BYTES: usize = 1 << 20;

/// The longest wait for other requests to share a sync. A fast disk would otherwise do one for each job.
const LINGER: Duration = Duration::from_millis(4);

/// With this many requests, a batch is written at once.
const ENOUGH: usize = 64;

/// Sends records to the writer of the journal.
#[derive(Debug, Clone)]
pub struct Journal {
    requests: mpsc::Sender<WriteRequest>,
    lost: CancellationToken,
}

#[derive(Debug)]
struct WriteRequest {
    lines: Vec<u8>,
    synced: oneshot::Sender<()>,
}

/// The journal cannot be written any more, and some records may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the journal cannot be written any more")]
pub struct JournalLost;

#[derive(Debug, Error)]
pub enum WriteError {
    /// An I/O error, mostly a full disk.
    #[error("the journal cannot be written")]
    Io(#[from] io::Error),
    /// A bug.
    #[error("the writer of the journal failed")]
    Panic(#[from] JoinError),
}

impl Journal {
    /// Writes the records in order, and returns once they are on disk. Fails if they may not be on disk.
    pub async fn write(&self, records: &[JournalRecord]) -> Result<(), JournalLost> {
        let lines = JournalRecord::lines(records);
        let (synced, done) = oneshot::channel();
        self.requests.send(WriteRequest { lines, synced }).await.map_err(|_| JournalLost)?;
        done.await.map_err(|_| JournalLost)
    }

    /// Does not keep the writer running.
    pub fn health(&self) -> Health {
        Health(self.lost())
    }

    /// Returns a token that is cancelled once the journal cannot be written any more.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }
}

/// Whether the journal can be written, for `/readyz`.
#[derive(Debug)]
pub struct Health(CancellationToken);

impl Report for Health {
    fn condition(&self) -> Condition {
        if self.0.is_cancelled() {
            Condition::NotReady { reason: JournalLost.to_string() }
        } else {
            Condition::Ready
        }
    }
}

#[derive(Debug)]
pub struct JournalWriter {
    file: Arc<File>,
    /// The size of the file in bytes, all of them on disk.
    length: u64,
    requests: mpsc::Receiver<WriteRequest>,
    /// Cancelled at any end but an orderly one.
    lost: DropGuard,
}

impl JournalWriter {
    /// The file must be at its end and `length` bytes long, all of them on disk.
    pub fn new(file: File, length: u64) -> (Self, Journal) {
        let (sender, requests) = mpsc::channel(WAITING);
        let lost = CancellationToken::new();
        let journal = Journal { requests: sender, lost: lost.clone() };
        (Self { file: Arc::new(file), length, requests, lost: lost.drop_guard() }, journal)
    }

    /// Writes until every [`Journal`] is dropped; returns the file, which is still locked.
    ///
    /// The first error ends it. After a failed sync the state on disk is unknown, and a second sync may succeed without
    /// writing the data.
    pub async fn run(mut self) -> Result<Arc<File>, WriteError> {
        while let Some(first) = self.requests.recv().await {
            let WriteBatch { lines, waiting } = self.gather(first).await;
            self.append(lines).await?;
            for synced in waiting {
                // A receiver that was dropped loses nothing.
                let _ = synced.send(());
            }
        }
        drop(self.lost.disarm());
        Ok(self.file)
    }

    /// Collects the requests that wait or come within [`LINGER`].
    async fn gather(&mut self, first: WriteRequest) -> WriteBatch {
        let mut batch = WriteBatch { lines: Vec::new(), waiting: Vec::new() };
        JournalRecord::Synced(self.length).write(&mut batch.lines);
        batch.add(first);
        let lingering = sleep(LINGER);
        tokio::pin!(lingering);
        while batch.waiting.len() < ENOUGH {
            tokio::select! {
                biased;
                next = self.requests.recv() => match next {
                    Some(next) => batch.add(next),
                    // Every [`Journal`] was dropped.
                    None => break,
                },
                () = &mut lingering => break,
            }
        }
        while batch.lines.len() < BATCH_BYTES
            && let Ok(next) = self.requests.try_recv()
        {
            batch.add(next);
        }
        batch
    }

    async fn append(&mut self, lines: Vec<u8>) -> Result<(), WriteError> {
        let (file, length) = (Arc::clone(&self.file), self.length);
        self.length += lines.len() as u64;
        let written = spawn_blocking(move || {
            let mut end = &*file;
            end.write_all(&lines).and_then(|()| end.sync_data()).inspect_err(|_| {
                // Half a batch would look like a torn end, so it is removed. If this fails too, recovery removes it.
                let _ = end.set_len(length);
            })
        });
        Ok(written.await??)
    }
}

struct WriteBatch {
    lines: Vec<u8>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl WriteBatch {
    fn add(&mut self, request: WriteRequest) {
        self.lines.extend_from_slice(&request.lines);
        self.waiting.push(request.synced);
    }
}

#[cfg(test)]
mod tests;
