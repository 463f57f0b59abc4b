//! A steady producer while brokers fail: it waits for confirms, and publishes unconfirmed jobs again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{BULK, Endpoint, INTERACTIVE, Message, amqp::Amqp, token};

/// The number of jobs ahead of the endpoint's calls.
pub const AHEAD: usize = 400;
/// Jobs sent before their confirms are awaited.
const BATCH: usize = 50;

/// The running producer.
pub struct Feed {
    enough: CancellationToken,
    confirmed: Arc<AtomicUsize>,
    feeding: JoinHandle<Fed>,
}

/// The counts of sent jobs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fed {
    /// Jobs that were confirmed: the tokens from 0 to below this.
    pub confirmed: usize,
    /// Jobs that were sent again, because a refusal or a lost connection left one of their batch unconfirmed.
    pub again: usize,
}

impl Feed {
    /// Starts with the first of `urls` that answers. The queues must exist.
    pub fn start(urls: Vec<String>, endpoint: Arc<Endpoint>) -> Self {
        let enough = CancellationToken::new();
        let confirmed = Arc::new(AtomicUsize::new(0));
        let feeding = tokio::spawn(feed(urls, endpoint, enough.clone(), confirmed.clone()));
        Self { enough, confirmed, feeding }
    }

    /// Jobs that were confirmed so far.
    pub fn confirmed(&self) -> usize {
        self.confirmed.load(Ordering::SeqCst)
    }

    /// Ends it, after its current batch is confirmed.
    pub async fn end(self) -> Fed {
        self.enough.cancel();
        self.feeding.await.unwrap()
    }
}

async fn feed(
    urls: Vec<String>,
    endpoint: Arc<Endpoint>,
    enough: CancellationToken,
    confirmed: Arc<AtomicUsize>,
) -> Fed {
    let mut fed = Fed::default();
    let mut amqp = Amqp::connect_any(&urls).await;
    loop {
        tokio::select! {
            biased;
            () = enough.cancelled() => return fed,
            () = endpoint.until_count((fed.confirmed + BATCH).saturating_sub(AHEAD)) => {}
        }
        let batch = fed.confirmed..fed.confirmed + BATCH;
        let job = |n| ([INTERACTIVE, BULK][n % 2], Message::job(&token(n)));
        // A node without a leader refuses messages, and a dying node does not answer.
        while !matches!(amqp.try_publish_all(batch.clone().map(job).collect()).await, Ok(true)) {
            fed.again += BATCH;
            amqp = Amqp::connect_any(&urls).await;
        }
        fed.confirmed = batch.end;
        confirmed.store(fed.confirmed, Ordering::SeqCst);
    }
}
