//! Makes room in a lane whose next message exceeds the bytes in flight.
//!
//! While such a lane stalls, its connection is not read, and RabbitMQ closes it after 30 seconds. Then the history of
//! its jobs would be lost: their attempts, and the start of their failures. The same jobs would return to the head of
//! their queue, and would never be parked or given up. So jobs that wait leave the lane before that.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use super::{BackingOff, Pipeline};
use crate::domain::{Lane, PerLane};

/// A lane is crowded after it stalls for this long. Before that, jobs that end usually free enough bytes.
const GRACE: Duration = Duration::from_secs(1);

/// After this time, jobs that wait for a permit leave as well. They are requeued and delivered again, so this time is
/// as long as the connection allows.
const LAST_RESORT: Duration = Duration::from_secs(10);

/// While the stall lasts, twice as many jobs leave each time. So a lane of many small jobs makes room for
/// a large one in time.
const EVERY: Duration = Duration::from_secs(1);

/// A job that has waited for a permit for less does not leave. Nearly all jobs get a permit sooner, and
/// need no listener.
pub(super) const CROWDED_AFTER: Duration = Duration::from_secs(5);

/// Whether jobs have to leave one lane.
#[derive(Debug, Default)]
pub(super) struct CrowdedLane {
    is_crowded: AtomicBool,
    one_leaves: Notify,
}

impl BackingOff {
    /// Whether jobs have to leave that lane.
    pub(super) fn is_crowded(&self, lane: Lane) -> bool {
        self.crowded.get(lane).is_crowded.load(Ordering::Relaxed)
    }

    /// Waits until one job that waits for a permit has to leave that lane.
    pub(super) async fn crowded_out(&self, lane: Lane) {
        let crowd = self.crowded.get(lane);
        loop {
            crowd.one_leaves.notified().await;
            // The notice may be for a job that has left, from an earlier stall.
            if self.is_crowded(lane) {
                return;
            }
        }
    }

    /// Makes jobs leave the lane while it stalls. First the jobs that back off leave, the longest failing
    /// one before the others. Much later the jobs that wait for a permit leave. Returns when the sender of
    /// `stalled` is dropped.
    pub(super) async fn make_room(&self, lane: Lane, mut stalled: watch::Receiver<bool>) {
        let crowd = self.crowded.get(lane);
        while stalled.wait_for(|stalled| *stalled).await.is_ok() {
            let evicting = in_growing_numbers(GRACE, || {
                crowd.is_crowded.store(true, Ordering::Relaxed);
                self.evict(lane);
            });
            let handing_back = in_growing_numbers(LAST_RESORT, || crowd.one_leaves.notify_one());
            let told = tokio::select! {
                ended = stalled.wait_for(|stalled| !stalled) => ended.is_ok(),
                () = evicting => true,
                () = handing_back => true,
            };
            crowd.is_crowded.store(false, Ordering::Relaxed);
            if !told {
                return;
            }
        }
    }
}

/// Waits for `after`, then lets one job leave, then two more, and so on.
async fn in_growing_numbers(after: Duration, mut one_leaves: impl FnMut()) {
    sleep(after).await;
    let mut leaving = 1_u32;
    loop {
        (0..leaving).for_each(|_| one_leaves());
        sleep(EVERY).await;
        leaving = leaving.saturating_mul(2).min(u16::MAX.into());
    }
}

impl<E, C> Pipeline<E, C> {
    /// Makes waiting jobs leave a lane while its source stalls because of its bytes in flight.
    pub async fn make_room(&self, stalls: PerLane<watch::Receiver<bool>>) {
        let PerLane { interactive, bulk } = stalls;
        tokio::join!(
            self.backing_off.make_room(Lane::Interactive, interactive),
            self.backing_off.make_room(Lane::Bulk, bulk),
        );
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    const ROOM: usize = 100;

    /// How many of these places were evicted.
    fn evicted(places: &mut Vec<super::super::backing_off::BackoffPlace>) -> usize {
        let before = places.len();
        places.retain_mut(|place| place.evicted().now_or_never().is_none());
        before - places.len()
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_lane_stalls_more_and_more_of_its_jobs_leave_and_none_of_the_other_lane() {
        let backing_off = BackingOff::new(ROOM);
        let (stalls, stalled) = watch::channel(false);
        let mut making_room = Box::pin(backing_off.make_room(Lane::Bulk, stalled));
        let enter = |lane| backing_off.enter(lane, Instant::now());
        let mut places: Vec<_> = (0..20).map(|_| enter(Lane::Bulk)).collect();
        let mut others = vec![enter(Lane::Interactive)];
        let mut pass = async |time| {
            tokio::select! {
                () = sleep(time) => {}
                () = &mut making_room => panic!("it has ended"),
            }
        };
        let moment = Duration::from_millis(1);
        pass(moment).await;
        for _ in 0..2 {
            stalls.send_replace(true);
            pass(GRACE / 2).await;
            stalls.send_replace(false);
            pass(GRACE).await;
            assert_eq!(evicted(&mut places), 0, "it stalled for a moment only");
        }
        stalls.send_replace(true);
        pass(GRACE + moment).await;
        assert_eq!(evicted(&mut places), 1);
        assert!(backing_off.is_crowded(Lane::Bulk));
        assert!(!backing_off.is_crowded(Lane::Interactive));
        for leaving in [2, 4] {
            pass(EVERY).await;
            assert_eq!(evicted(&mut places), leaving);
        }
        stalls.send_replace(false);
        pass(10 * EVERY).await;
        assert!(!backing_off.is_crowded(Lane::Bulk));
        assert_eq!(evicted(&mut places), 0, "it is over");
        stalls.send_replace(true);
        pass(GRACE + moment).await;
        assert_eq!(evicted(&mut places), 1, "another stall begins anew");
        assert_eq!(evicted(&mut others), 0);
        // The lane still stalls.
        drop(stalls);
        making_room.await;
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_that_wait_for_a_permit_leave_last() {
        let backing_off = BackingOff::new(ROOM);
        let (_stalls, stalled) = watch::channel(true);
        let making_room = backing_off.make_room(Lane::Bulk, stalled);
        let mut place = backing_off.enter(Lane::Bulk, Instant::now());
        let began = Instant::now();
        let order = async {
            let mut out = Box::pin(backing_off.crowded_out(Lane::Bulk));
            tokio::select! {
                () = &mut out => panic!("one backs off still"),
                () = place.evicted() => {}
            }
            let evicted = began.elapsed();
            out.await;
            (evicted.as_secs(), began.elapsed().as_secs())
        };
        let elsewhere = backing_off.crowded_out(Lane::Interactive);
        tokio::select! {
            waited = order => assert_eq!(waited, (GRACE.as_secs(), LAST_RESORT.as_secs())),
            () = making_room => panic!("it has ended"),
            () = elsewhere => panic!("the other lane does not stall"),
        }
    }
}
