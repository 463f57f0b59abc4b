//! How full the queues are, sampled by passive declares: their counts do not lag. A consumer that gets
//! nothing out of a queue that has something is found by the way.

use std::{sync::Arc, time::Duration};

use lapin::Channel;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    connection::Connection, lane::LaneChannel, link::Link, queues::Queues, starvation::Starvation,
    topology,
};
use crate::{
    domain::{Lane, PerLane},
    metrics::{Depth, Metrics},
};

/// How often the queues are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// A look takes no longer; the next one is made on another channel.
const LIMIT: Duration = Duration::from_secs(10);

/// Why there are no more samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The connection is gone.
    Gone,
    /// The consumer of this lane starves.
    Starving(Lane),
}

/// Samples until the connection is gone, or a consumer starves. It needs a channel of its own, because a
/// look at a queue that is missing closes the channel.
pub async fn sample(
    connection: &Connection,
    queues: &Queues,
    lanes: &PerLane<Arc<LaneChannel>>,
    metrics: &Metrics,
) -> Ended {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut channel = None;
    let mut starvation = PerLane::<Starvation>::default();
    while connection.status().connected() {
        ticks.tick().await;
        if connection.link() == Link::Stalled {
            // The answer would wait behind what is not read.
            continue;
        }
        let mut waiting = PerLane::<Option<u32>>::default();
        let looked = timeout(LIMIT, async {
            let channel = &mut channel;
            if channel.as_ref().is_none_or(|channel: &Channel| !channel.status().connected()) {
                *channel = connection.create_channel().await.ok();
            }
            if let Some(channel) = channel {
                // A missing queue leaves the figures as they are; whoever needs it says so.
                let _ = look(channel, queues, metrics, &mut waiting).await;
            }
        });
        if looked.await.is_err() {
            channel = None;
        }
        for lane in Lane::ALL {
            if starvation.get_mut(lane).lasts(lanes.get(lane).serving(*waiting.get(lane))) {
                return Ended::Starving(lane);
            }
        }
    }
    Ended::Gone
}

/// Notes as well what is found of the lanes.
async fn look(
    channel: &Channel,
    queues: &Queues,
    metrics: &Metrics,
    waiting: &mut PerLane<Option<u32>>,
) -> lapin::Result<()> {
    for (lane, depth) in [(Lane::Interactive, Depth::Interactive), (Lane::Bulk, Depth::Bulk)] {
        let found = topology::look(channel, queues.lane(lane)).await?;
        // No consumer, not even our own: the queue was too busy to tell.
        *waiting.get_mut(lane) = (found.consumers > 0 || found.ready > 0).then_some(found.ready);
        metrics.queue_messages(depth, found.ready.into());
    }
    let dead = topology::depth(channel, queues.dead()).await?;
    metrics.queue_messages(Depth::Dead, dead.into());
    let mut parked = 0;
    for queue in queues.all_retry() {
        parked += u64::from(topology::depth(channel, queue).await?);
    }
    metrics.queue_messages(Depth::Parked, parked);
    Ok(())
}
