//! Counts the consumers of a lane, for replicas that share a rate.
//!
//! The depths are sampled every two seconds, one queue after the other. That is too seldom here: a replica with an old
//! count must not call, and one slow queue would delay the count. So each lane counts its own consumers, at a shorter
//! interval.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{
    connection::Connection,
    depths::{DepthProbe, Depths},
    lane::LaneChannel,
    session_end::SessionBreak,
    wait::{ConnectionState, NoAnswer},
};
use crate::{
    domain::Lane,
    ports::{ANSWERED_WITHIN, Consumers},
};

/// The interval of counting. A count stays fresh even if several answers in a row are lost.
const EVERY: Duration = Duration::from_millis(500);

/// Reports the consumer as absent when the session ends.
struct CountedSession<'a>(&'a dyn Consumers, Lane);

impl Drop for CountedSession<'_> {
    fn drop(&mut self) {
        self.0.absent(self.1);
    }
}

impl Depths {
    /// Counts the lane's consumers for `counts` until the connection is gone.
    pub(super) async fn count_consumers(
        &self,
        counts: &dyn Consumers,
        connection: &Connection,
        consumer: &LaneChannel,
    ) -> SessionBreak {
        let _session = CountedSession(counts, self.lane);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut probe = DepthProbe::on(connection);
        let mut told = None;
        while connection.status().connected() {
            ticks.tick().await;
            // While the connection is not read, no answer comes.
            let stalled = connection.state() == ConnectionState::Stalled;
            let consumption = consumer.consumption().filter(|_| !stalled);
            if told != consumption {
                counts.absent(self.lane);
                told = consumption;
            }
            if consumption.is_none() {
                continue;
            }
            let asked = Instant::now();
            let Ok(found) = timeout(ANSWERED_WITHIN, probe.at(self.queues.lane(self.lane))).await
            else {
                probe.forget();
                continue;
            };
            // The count is void if the consumer was cancelled meanwhile.
            if consumer.consumption() == consumption {
                let consumers = found.map_or(0, |found| found.consumers);
                counts.counted(self.lane, asked, consumers);
            }
        }
        SessionBreak::Silent(NoAnswer::Gone)
    }
}
