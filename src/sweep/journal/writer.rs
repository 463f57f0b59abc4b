//! Appends to the journal, many records with one sync.

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

use super::record::Record;
use crate::ports::{Condition, Report};

/// Requests that wait for the disk; more than jobs are ever in flight would change nothing.
const WAITING: usize = 1024;

/// Bytes of a batch after which no more are added.
const BATCH_BYTES: usize = 1 << 20;

/// The longest that a request waits for others to share its sync. A disk that syncs faster than jobs end
/// would otherwise have one to do for each of them.
const LINGER: Duration = Duration::from_millis(4);

/// So many requests are written without waiting for more.
const ENOUGH: usize = 64;

/// The way to the journal, for everybody who writes into it.
#[derive(Debug, Clone)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
    lost: CancellationToken,
}

/// Records as they will stand in the file, and who waits for them.
#[derive(Debug)]
struct Request {
    lines: Vec<u8>,
    synced: oneshot::Sender<()>,
}

/// The journal can be written no more: what it was to hold may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the journal can be written no more")]
pub struct Lost;

/// Why the journal can be written no more.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The system's fault: mostly a disk that is full.
    #[error("the journal cannot be written")]
    Io(#[from] io::Error),
    /// A fault inside this program.
    #[error("the writer of the journal failed")]
    Panic(#[from] JoinError),
}

impl Journal {
    /// Writes the records, one after the other; returns once they are on disk.
    ///
    /// # Errors
    ///
    /// [`Lost`] if they are not, or may not be.
    pub async fn write(&self, records: &[Record]) -> Result<(), Lost> {
        let lines = Record::lines(records);
        let (synced, done) = oneshot::channel();
        self.requests.send(Request { lines, synced }).await.map_err(|_| Lost)?;
        done.await.map_err(|_| Lost)
    }

    /// Whether it can be written; it keeps the writer from nothing.
    #[must_use]
    pub fn health(&self) -> Health {
        Health(self.lost())
    }

    /// Cancelled once the journal can be written no more.
    #[must_use]
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
            Condition::NotReady { reason: Lost.to_string() }
        } else {
            Condition::Ready
        }
    }
}

/// The one who writes.
#[derive(Debug)]
pub struct Writer {
    file: Arc<File>,
    /// The bytes of the file, all of them on disk.
    length: u64,
    requests: mpsc::Receiver<Request>,
    /// However it ends, what is not on disk then is lost.
    lost: DropGuard,
}

impl Writer {
    /// The writer of a journal, which has to run, and the way to it. The file is at its end, and so many
    /// bytes long, all of them on disk.
    #[must_use]
    pub fn new(file: File, length: u64) -> (Self, Journal) {
        let (sender, requests) = mpsc::channel(WAITING);
        let lost = CancellationToken::new();
        let journal = Journal { requests: sender, lost: lost.clone() };
        (Self { file: Arc::new(file), length, requests, lost: lost.drop_guard() }, journal)
    }

    /// Writes until nobody can ask for more; returns the file, which is still locked.
    ///
    /// # Errors
    ///
    /// [`WriteError`] ends it at once: after a failed sync nobody can say what is on disk, and a second
    /// one may succeed without having written anything.
    pub async fn run(mut self) -> Result<Arc<File>, WriteError> {
        while let Some(first) = self.requests.recv().await {
            let Batch { lines, waiting } = self.gather(first).await;
            self.append(lines).await?;
            for synced in waiting {
                // Whoever no longer waits loses nothing.
                let _ = synced.send(());
            }
        }
        drop(self.lost.disarm());
        Ok(self.file)
    }

    /// Everything that waits or comes within a moment.
    async fn gather(&mut self, first: Request) -> Batch {
        let mut batch = Batch { lines: Vec::new(), waiting: Vec::new() };
        Record::Synced(self.length).write(&mut batch.lines);
        batch.add(first);
        let lingering = sleep(LINGER);
        tokio::pin!(lingering);
        while batch.waiting.len() < ENOUGH {
            tokio::select! {
                biased;
                next = self.requests.recv() => match next {
                    Some(next) => batch.add(next),
                    // Nobody can ask for more.
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
                // Half a batch would be taken for a torn end; better there is none. If this fails as
                // well, it will be.
                let _ = end.set_len(length);
            })
        });
        Ok(written.await??)
    }
}

/// What is written with one sync, and who waits for it.
struct Batch {
    lines: Vec<u8>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn add(&mut self, request: Request) {
        self.lines.extend_from_slice(&request.lines);
        self.waiting.push(request.synced);
    }
}

#[cfg(test)]
mod tests;
