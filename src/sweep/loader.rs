//! Loads blocks, and has the journal know of their jobs before anybody may call them.

use std::{future::poll_fn, task::Poll, time::Duration};

use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::time::Instant;

use super::{
    journal::{Journal, Lost},
    reader::{InputFault, Reader},
    scan::{Block, Found},
};

/// Loads one block at a time, and only when asked. It holds the reader, or the loading that is under way;
/// neither once it has ended.
#[derive(Default)]
pub struct Loader {
    reader: Option<Reader>,
    loading: Option<BoxFuture<'static, Ended>>,
}

/// A block's jobs, which may be called now.
pub struct Loaded {
    /// The jobs.
    pub jobs: Vec<Found>,
    /// How long the reading took, without the journal.
    pub took: Duration,
}

/// A loading that is over, and what goes on with it.
type Ended = (Reader, Result<Option<Loaded>, LoadError>);

/// Why there are no more jobs.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The input's fault.
    #[error(transparent)]
    Input(#[from] InputFault),
    /// The journal's fault.
    #[error(transparent)]
    Journal(#[from] Lost),
}

impl Loader {
    /// Loads from this reader.
    #[must_use]
    pub const fn new(reader: Reader) -> Self {
        Self { reader: Some(reader), loading: None }
    }

    /// Whether there are no more blocks.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.reader.is_none() && self.loading.is_none()
    }

    /// Whether a block is on its way.
    #[must_use]
    pub const fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Begins to load the next block, unless one is on its way.
    pub fn load(&mut self, journal: &Journal) {
        if let Some(mut reader) = self.reader.take() {
            let journal = journal.clone();
            self.loading = Some(Box::pin(async move {
                let loaded = load(&mut reader, &journal).await;
                (reader, loaded)
            }));
        }
    }

    /// Waits for the block on its way, and for ever if there is none. `None` at the end. Nothing is
    /// lost where the future is dropped.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; there are no blocks after it.
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

async fn load(reader: &mut Reader, journal: &Journal) -> Result<Option<Loaded>, LoadError> {
    let began = Instant::now();
    let Some(Block { records, jobs }) = reader.next().await? else { return Ok(None) };
    let took = began.elapsed();
    if !records.is_empty() {
        journal.write(&records).await?;
    }
    Ok(Some(Loaded { jobs, took }))
}
