//! Jobs that wait leave a lane whose next message does not fit its bytes in flight.
//!
//! Meanwhile the lane's connection is not read, and RabbitMQ closes it after 30 seconds. All that is known of the
//! lane's jobs in memory would be lost with the session: how often they were called, and since when they fail. The
//! same jobs would come back, at the head of their queue, and would never be parked or given up.

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

/// A lane that stalls for less is not crowded: jobs end all the time, and give their bytes back.
const GRACE: Duration = Duration::from_secs(1);

/// After so long jobs that wait for their turn leave as well. They go back to the broker and come again, so that is
/// put off for as long as the connection is safe.
const LAST_RESORT: Duration = Duration::from_secs(10);

/// While the stall lasts, twice as many jobs leave each time. So a lane of many small jobs makes room for a large
/// one in time.
const EVERY: Duration = Duration::from_secs(1);

/// A job that has waited for its turn for less does not leave. Nearly all get theirs sooner, and listen for nothing.
pub const TURN_COMES_WITHIN: Duration = Duration::from_secs(5);

/// Whether jobs have to leave one lane.
#[derive(Debug, Default)]
pub struct Crowd {
    is_crowded: AtomicBool,
    one_leaves: Notify,
}

impl BackingOff {
    /// Whether jobs have to leave that lane.
    pub fn is_crowded(&self, lane: Lane) -> bool {
        self.crowds.get(lane).is_crowded.load(Ordering::Relaxed)
    }

    /// Waits until a job that waits for its turn has to leave that lane.
    pub async fn crowded_out(&self, lane: Lane) {
        let crowd = self.crowds.get(lane);
        loop {
            crowd.one_leaves.notified().await;
            // It may have been told to one that left by itself, while an earlier stall lasted.
            if self.is_crowded(lane) {
                return;
            }
        }
    }

    /// Has jobs leave that lane while it stalls, for as long as anybody tells whether it does. First those that back
    /// off leave, the longest failing before the others, and much later those that wait for their turn.
    pub async fn make_room(&self, lane: Lane, mut stalled: watch::Receiver<bool>) {
        let crowd = self.crowds.get(lane);
        while stalled.wait_for(|stalled| *stalled).await.is_ok() {
            let evicting = ever_more(GRACE, || {
                crowd.is_crowded.store(true, Ordering::Relaxed);
                self.evict(lane);
            });
            let handing_back = ever_more(LAST_RESORT, || crowd.one_leaves.notify_one());
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

/// After a while has one leave, then two more, and so on.
async fn ever_more(after: Duration, mut one_leaves: impl FnMut()) {
    sleep(after).await;
    let mut leaving = 1_u32;
    loop {
        (0..leaving).for_each(|_| one_leaves());
        sleep(EVERY).await;
        leaving = leaving.saturating_mul(2).min(u16::MAX.into());
    }
}

impl<E, C> Pipeline<E, C> {
    /// Has jobs that wait leave a lane while its source stalls because of the bytes that it has in flight.
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
    fn evicted(places: &mut Vec<super::super::backing_off::Place>) -> usize {
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
        // Though it stalls still.
        drop(stalls);
        making_room.await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_its_turn_leaves_last() {
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
