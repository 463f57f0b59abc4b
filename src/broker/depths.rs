//! How full the queues are, sampled by passive declares: their counts do not lag.

use std::time::Duration;

use lapin::{Channel, Connection};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{queues::Queues, topology};
use crate::{
    domain::Lane,
    metrics::{Depth, Metrics},
};

/// How often the queues are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// A look takes no longer; the next one is made on another channel.
const LIMIT: Duration = Duration::from_secs(10);

/// Samples until the connection is gone. It needs a channel of its own, because a look at a queue that
/// is missing closes the channel.
pub async fn sample(connection: &Connection, queues: &Queues, metrics: &Metrics) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut channel = None;
    while connection.status().connected() {
        ticks.tick().await;
        let looked = timeout(LIMIT, async {
            let channel = &mut channel;
            if channel.as_ref().is_none_or(|channel: &Channel| !channel.status().connected()) {
                *channel = connection.create_channel().await.ok();
            }
            if let Some(channel) = channel {
                // A missing queue leaves the figures as they are; whoever needs it says so.
                let _ = look(channel, queues, metrics).await;
            }
        });
        if looked.await.is_err() {
            channel = None;
        }
    }
}

async fn look(channel: &Channel, queues: &Queues, metrics: &Metrics) -> lapin::Result<()> {
    for (lane, depth) in [(Lane::Interactive, Depth::Interactive), (Lane::Bulk, Depth::Bulk)] {
        let ready = topology::depth(channel, queues.lane(lane)).await?;
        metrics.queue_messages(depth, ready.into());
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
