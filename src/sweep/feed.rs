//! Loads blocks apart from the runtime's threads, and has the journal know of their jobs before anybody
//! may call them.

use std::{future::poll_fn, task::Poll, time::Duration};

use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::{
    task::{JoinError, spawn_blocking},
    time::Instant,
};

use super::{
    journal::{Journal, Lost},
    scan::{Block, Blocks, Found, InputFault},
};

/// A source of blocks, read one at a time and only when asked. It holds the reader, or the reading that
/// is under way; neither once it has ended.
#[derive(Default)]
pub struct Feed {
    blocks: Option<Box<dyn Blocks>>,
    loading: Option<BoxFuture<'static, Loaded>>,
}

/// A block's jobs, which may be called now.
pub struct Read {
    /// The jobs.
    pub jobs: Vec<Found>,
    /// How long the reading took, without the journal.
    pub took: Duration,
}

/// A reading that is over, and what goes on with it.
struct Loaded {
    blocks: Option<Box<dyn Blocks>>,
    read: Result<Option<Read>, FeedError>,
}

/// Why there are no more jobs.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The input's fault.
    #[error(transparent)]
    Input(#[from] InputFault),
    /// The journal's fault.
    #[error(transparent)]
    Journal(#[from] Lost),
    /// A fault inside this program.
    #[error("the reader of the input failed")]
    Panic(#[from] JoinError),
}

impl Feed {
    /// A feed of these blocks.
    #[must_use]
    pub fn new(blocks: impl Blocks) -> Self {
        Self { blocks: Some(Box::new(blocks)), loading: None }
    }

    /// Whether there are no more blocks.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.blocks.is_none() && self.loading.is_none()
    }

    /// Begins to load the next block, unless one is on its way.
    pub fn load(&mut self, journal: &Journal) {
        if let Some(blocks) = self.blocks.take() {
            self.loading = Some(Box::pin(load(blocks, journal.clone())));
        }
    }

    /// Waits for the block on its way, and for ever if there is none. `None` at the end. Nothing is
    /// lost where the future is dropped.
    ///
    /// # Errors
    ///
    /// [`FeedError`]; there are no blocks after it.
    pub async fn loaded(&mut self) -> Result<Option<Read>, FeedError> {
        poll_fn(|context| {
            let Some(loading) = &mut self.loading else { return Poll::Pending };
            loading.as_mut().poll(context).map(|Loaded { blocks, read }| {
                self.loading = None;
                self.blocks = blocks.filter(|_| matches!(read, Ok(Some(_))));
                read
            })
        })
        .await
    }
}

async fn load(mut blocks: Box<dyn Blocks>, journal: Journal) -> Loaded {
    let began = Instant::now();
    let reading = spawn_blocking(move || {
        let block = blocks.next();
        (blocks, block)
    });
    let (blocks, block) = match reading.await {
        Ok(read) => read,
        Err(panic) => return Loaded { blocks: None, read: Err(panic.into()) },
    };
    let took = began.elapsed();
    let read = match block {
        Ok(Some(block)) => marked(block, &journal).await.map(|jobs| Some(Read { jobs, took })),
        Ok(None) => Ok(None),
        Err(fault) => Err(fault.into()),
    };
    Loaded { blocks: Some(blocks), read }
}

/// The block's jobs, once the journal has what it must know of them.
async fn marked(block: Block, journal: &Journal) -> Result<Vec<Found>, FeedError> {
    if !block.records.is_empty() {
        journal.write(&block.records).await?;
    }
    Ok(block.jobs)
}
