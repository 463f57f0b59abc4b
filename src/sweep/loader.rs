//! Loads blocks of jobs. The journal marks their lines before any of them may be called.

use std::{future::poll_fn, task::Poll, time::Duration};

use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::time::Instant;

use super::{
    journal::{Journal, JournalLost},
    reader::{BlockReader, InputFault},
    scan::{Block, SweepJob},
};

/// Loads one block at a time, on request. It holds the reader or the load in progress; neither after the end.
#[derive(Default)]
pub struct Loader {
    reader: Option<BlockReader>,
    loading: Option<BoxFuture<'static, LoadResult>>,
}

/// The jobs of a block, which may be called now.
pub struct Loaded {
    pub jobs: Vec<SweepJob>,
    /// The time of the read, without the journal.
    pub took: Duration,
}

type LoadResult = (BlockReader, Result<Option<Loaded>, LoadError>);

/// The error that ends loading.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error(transparent)]
    Input(#[from] InputFault),
    #[error(transparent)]
    Journal(#[from] JournalLost),
}

impl LoadError {
    /// Whether the input itself is at fault: another run would end at the same place.
    pub fn is_of_the_input(&self) -> bool {
        match self {
            Self::Input(InputFault::Read(error)) => error.is_of_the_content(),
            Self::Input(fault) => matches!(fault, InputFault::Open(_) | InputFault::Changed),
            Self::Journal(_) => false,
        }
    }
}

impl Loader {
    pub const fn new(reader: BlockReader) -> Self {
        Self { reader: Some(reader), loading: None }
    }

    pub const fn has_ended(&self) -> bool {
        self.reader.is_none() && self.loading.is_none()
    }

    pub const fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Begins to load the next block, unless a load is in progress.
    pub fn load(&mut self, journal: &Journal) {
        if let Some(mut reader) = self.reader.take() {
            let journal = journal.clone();
            self.loading = Some(Box::pin(async move {
                let loaded = load(&mut reader, &journal).await;
                (reader, loaded)
            }));
        }
    }

    /// Waits for the load in progress, or forever if there is none. Returns `None` at the end. Safe to cancel.
    ///
    /// There are no blocks after an error.
    pub async fn loaded(&mut self) -> Result<Option<Loaded>, LoadError> {
        poll_fn(|context| {
            let Some(loading) = &mut self.loading else { return Poll::Pending };
            loading.as_mut().poll(context).map(|(reader, loaded)| {
                self.loading = None;
                self.reader = matches!(loaded, Ok(Some(_))).then_some(reader);
                loaded
            })
        })
        .await
    }
}

async fn load(reader: &mut BlockReader, journal: &Journal) -> Result<Option<Loaded>, LoadError> {
    let began = Instant::now();
    let Some(Block { records, jobs }) = reader.next().await? else { return Ok(None) };
    let took = began.elapsed();
    if !records.is_empty() {
        journal.write(&records).await?;
    }
    Ok(Some(Loaded { jobs, took }))
}
