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
    /// Octets that travel together at most.
    pub slice: Option<usize>,
    /// Octets per second in each direction.
    pub rate: Option<u32>,
    /// How long what was read waits at least, and what chance may add. Whatever comes meanwhile waits
    /// behind it.
    pub latency: Option<(Duration, Duration)>,
    /// Where chance begins.
    pub seed: u64,
}

/// What has run over a line so far, all connections together: the proof that its faults were real.
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

    /// The most octets that travelled together.
    pub fn largest(&self) -> usize {
        self.0.largest.load(Ordering::SeqCst)
    }

    /// How often something was made to wait, for its latency or for the rate.
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
