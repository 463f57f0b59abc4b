//! The effects of a slow or lossy line on its data.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    time::sleep,
};

/// The faults of a line; by default it has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// The most octets of one write.
    pub slice: Option<usize>,
    /// Octets per second in each direction.
    pub rate: Option<u32>,
    /// The least delay of data, and the largest random addition. Later data waits behind it.
    pub latency: Option<(Duration, Duration)>,
    /// The seed of the random numbers.
    pub seed: u64,
}

/// The counts of a line over all connections, as proof that its faults happened.
#[derive(Debug, Clone, Default)]
pub struct Carried(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    octets: AtomicUsize,
    writes: AtomicUsize,
    largest: AtomicUsize,
    waited: AtomicUsize,
    longest: AtomicUsize,
}

impl Carried {
    /// Octets.
    pub fn octets(&self) -> usize {
        self.0.octets.load(Ordering::SeqCst)
    }

    /// Writes that carried them.
    pub fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    /// The most octets of one write.
    pub fn largest(&self) -> usize {
        self.0.largest.load(Ordering::SeqCst)
    }

    /// The number of waits, for the latency or for the rate.
    pub fn waited(&self) -> usize {
        self.0.waited.load(Ordering::SeqCst)
    }

    /// The longest of these waits.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.0.longest.load(Ordering::SeqCst) as u64)
    }

    async fn wait(&self, time: Duration) {
        self.0.waited.fetch_add(1, Ordering::SeqCst);
        let millis = usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
        self.0.longest.fetch_max(millis, Ordering::SeqCst);
        sleep(time).await;
    }
}

/// One direction of one connection over a line.
pub(super) struct Wire {
    line: Line,
    chance: fastrand::Rng,
    carried: Carried,
}

impl Wire {
    pub(super) fn new(line: Line, carried: Carried) -> Self {
        Self { line, chance: fastrand::Rng::with_seed(line.seed), carried }
    }

    /// Carries `octets` to the other end.
    pub(super) async fn carry(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        octets: &[u8],
    ) -> io::Result<()> {
        if let Some((least, jitter)) = self.line.latency {
            self.carried.wait(least + jitter.mul_f64(self.chance.f64())).await;
        }
        let slice = self.line.slice.unwrap_or(octets.len()).max(1);
        for octets in octets.chunks(slice) {
            to.write_all(octets).await?;
            to.flush().await?;
            self.carried.0.largest.fetch_max(octets.len(), Ordering::SeqCst);
            self.carried.0.writes.fetch_add(1, Ordering::SeqCst);
            self.carried.0.octets.fetch_add(octets.len(), Ordering::SeqCst);
        }
        if let Some(rate) = self.line.rate {
            let octets = u32::try_from(octets.len()).unwrap_or(u32::MAX);
            self.carried.wait(Duration::from_secs(1) * octets / rate.max(1)).await;
        }
        Ok(())
    }
}
