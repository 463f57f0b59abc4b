//! Room for jobs that wait between attempts. Failing jobs must not block the others of their lane.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::Instant};

use super::crowding::CrowdedLane;
use crate::domain::{Lane, PerLane};

/// The jobs that back off, by lane. If they fill the room, the one that has been failing for the longest
/// has to leave.
#[derive(Debug)]
pub struct BackingOff {
    room: usize,
    lanes: PerLane<Arc<Mutex<LaneBackoffs>>>,
    pub(super) crowded: PerLane<CrowdedLane>,
}

/// Since when the job fails, and a number that makes the key unique.
type BackoffKey = (Instant, u64);

#[derive(Debug, Default)]
struct LaneBackoffs {
    next: u64,
    by_age: BTreeMap<BackoffKey, oneshot::Sender<()>>,
}

/// The place of one job. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct BackoffPlace {
    lane: Arc<Mutex<LaneBackoffs>>,
    key: BackoffKey,
    evicted: oneshot::Receiver<()>,
}

impl BackingOff {
    /// Makes room for this many jobs in each lane, and for at least one.
    #[must_use]
    pub fn new(room: usize) -> Self {
        let lanes = PerLane::from_fn(|_| Arc::default());
        Self { room: room.max(1), lanes, crowded: PerLane::from_fn(|_| CrowdedLane::default()) }
    }

    /// Evicts the job that has been failing for the longest, if any waits.
    pub(super) fn evict(&self, lane: Lane) {
        let longest = lock(self.lanes.get(lane)).by_age.pop_first();
        if let Some((_, longest)) = longest {
            // Its wait may have ended just now.
            let _ = longest.send(());
        }
    }

    /// Takes a place for a job that has been failing since `failing_since`. Without room, the job that has
    /// been failing for the longest is evicted.
    pub(super) fn enter(&self, lane: Lane, failing_since: Instant) -> BackoffPlace {
        let lane = self.lanes.get(lane);
        let (evict, evicted) = oneshot::channel();
        let mut waiting = lock(lane);
        let key = (failing_since, waiting.next);
        waiting.next += 1;
        waiting.by_age.insert(key, evict);
        if waiting.by_age.len() > self.room
            && let Some((_, longest)) = waiting.by_age.pop_first()
        {
            // Its wait may have ended just now; then there is room as well.
            let _ = longest.send(());
        }
        BackoffPlace { lane: Arc::clone(lane), key, evicted }
    }
}

impl BackoffPlace {
    /// Waits until another job needs the place.
    pub(super) async fn evicted(&mut self) {
        if (&mut self.evicted).await.is_err() {
            // The sender is dropped only with the place, and the place is borrowed here.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for BackoffPlace {
    fn drop(&mut self) {
        lock(&self.lane).by_age.remove(&self.key);
    }
}

fn lock(lane: &Mutex<LaneBackoffs>) -> MutexGuard<'_, LaneBackoffs> {
    // A poisoned lock is usable: the map changes in steps that do not panic.
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_one_that_fails_for_the_longest_leaves_when_the_room_is_full() {
        let room = BackingOff::new(2);
        let early = Instant::now();
        let late = early + Duration::from_secs(1);
        let mut newer = room.enter(Lane::Bulk, late);
        let mut older = room.enter(Lane::Bulk, early);
        assert!(older.evicted().now_or_never().is_none());
        let mut newest = room.enter(Lane::Bulk, late);
        assert!(older.evicted().now_or_never().is_some());
        assert!(newer.evicted().now_or_never().is_none());
        assert!(newest.evicted().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_given_up_makes_room_and_lanes_do_not_share_theirs() {
        let room = BackingOff::new(1);
        let first = room.enter(Lane::Bulk, Instant::now());
        let mut other_lane = room.enter(Lane::Interactive, Instant::now());
        drop(first);
        let mut second = room.enter(Lane::Bulk, Instant::now());
        assert!(second.evicted().now_or_never().is_none());
        assert!(other_lane.evicted().now_or_never().is_none());
    }
}
