//! How many consumers the broker counts on a lane, told to replicas that share a rate.
//!
//! The depths are sampled every two seconds, one queue after the other. That is too seldom here, and one slow queue
//! would hold up the count: a replica whose count is old must not call. So a lane asks by itself, more often.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{
    connection::Connection,
    depths::DepthProbe,
    lane::LaneChannel,
    queues::Queues,
    session_end::SessionBreak,
    wait::{ConnectionState, NoAnswer},
};
use crate::{
    domain::Lane,
    ports::{ANSWERED_WITHIN, Consumers},
};

/// How often the broker is asked. Several answers in a row may fail to come before a count is old.
const EVERY: Duration = Duration::from_millis(500);

/// Asks for a lane's consumers.
#[derive(Debug)]
pub struct Counting {
    /// The lane.
    pub lane: Lane,
    /// The family of queues.
    pub queues: Arc<Queues>,
    /// Who is told.
    pub told: Arc<dyn Consumers>,
}

/// However a session ends, its consumer is in force no more.
struct CountedSession<'a>(&'a Counting);

impl Drop for CountedSession<'_> {
    fn drop(&mut self) {
        self.0.told.absent(self.0.lane);
    }
}

impl Counting {
    /// Asks until the connection is gone.
    pub async fn run(&self, connection: &Connection, consumer: &LaneChannel) -> SessionBreak {
        let _session = CountedSession(self);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut probe = DepthProbe::on(connection);
        let mut told = None;
        while connection.status().connected() {
            ticks.tick().await;
            // While nothing is read, no answer comes.
            let stalled = connection.state() == ConnectionState::Stalled;
            let consumption = consumer.consumption().filter(|_| !stalled);
            if told != consumption {
                self.told.absent(self.lane);
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
            // Not if it was cancelled while the broker counted.
            if consumer.consumption() == consumption {
                let consumers = found.map_or(0, |found| found.consumers);
                self.told.counted(self.lane, asked, consumers);
            }
        }
        SessionBreak::Silent(NoAnswer::Gone)
    }
}
