//! The broker's side without a socket: deliveries out of memory, acks counted.

use std::{collections::VecDeque, sync::Arc};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use revoker::{
    broker::{
        AmqpDelivery, Exits, Publisher, Queues,
        seams::{ChannelLedger, Frame, Receipt, read_arrival},
    },
    domain::Lane,
    ports::{Clock, Source, SystemClock},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Deliveries that are not acked yet, at most.
pub const PREFETCH: usize = 256;

/// As many jobs as were asked for, as a session would deliver them.
pub struct Backlog {
    left: usize,
    delivered: u64,
    ledger: Arc<ChannelLedger>,
    exits: Arc<Exits>,
    room: Arc<Semaphore>,
    done: CancellationToken,
}

/// Takes the acks.
pub struct Acker {
    ledger: Arc<ChannelLedger>,
    room: Arc<Semaphore>,
    done: CancellationToken,
    /// Whether each delivery above `mark` was acked, in their order.
    acked: VecDeque<bool>,
    mark: u64,
}

/// A session with so many jobs.
pub fn open(jobs: usize) -> (Backlog, Acker) {
    let (publisher, _) = Publisher::pair();
    let exits = Arc::new(Exits { queues: Arc::new(Queues::new("q", &[])), publisher });
    let ledger = Arc::new(ChannelLedger::default());
    let (room, done) = (Arc::new(Semaphore::new(PREFETCH)), CancellationToken::new());
    let acker = Acker {
        ledger: Arc::clone(&ledger),
        room: Arc::clone(&room),
        done: done.clone(),
        acked: VecDeque::new(),
        mark: 0,
    };
    (Backlog { left: jobs, delivered: 0, ledger, exits, room, done }, acker)
}

impl Source for Backlog {
    type Delivery = AmqpDelivery;

    async fn next(&mut self) -> Option<AmqpDelivery> {
        let Some(left) = self.left.checked_sub(1) else {
            let _all = self.room.acquire_many(PREFETCH as u32).await.expect("never closed");
            self.done.cancel();
            return None;
        };
        self.room.acquire().await.expect("never closed").forget();
        self.left = left;
        self.delivered += 1;
        assert!(self.ledger.delivered(self.delivered), "the tags are in order");
        let (properties, body) = (properties(self.delivered), body(self.delivered));
        let now = SystemClock.now();
        let arrival = read_arrival(&properties, Lane::Bulk, false, &self.exits.queues, now);
        let receipt = Receipt::new(self.delivered, Arc::clone(&self.ledger));
        Some(AmqpDelivery::new(arrival, body, properties, receipt, Arc::clone(&self.exits)))
    }
}

impl Acker {
    /// Counts what is acked, until everything was delivered and is settled.
    pub async fn run(mut self) -> usize {
        let (mut frames, mut all) = (Vec::new(), 0);
        loop {
            let last = self.ledger.due(&self.done).await;
            self.ledger.flush(&mut frames);
            for frame in frames.drain(..) {
                if let Frame::Ack { tag, multiple } = frame {
                    let acked = self.ack(tag, multiple);
                    self.room.add_permits(acked);
                    all += acked;
                }
            }
            if last {
                return all;
            }
        }
    }

    /// How many deliveries a frame acks.
    fn ack(&mut self, tag: u64, multiple: bool) -> usize {
        let above = usize::try_from(tag - self.mark).expect("a small number");
        if above > self.acked.len() {
            self.acked.resize(above, false);
        }
        if multiple {
            self.mark = tag;
            return self.acked.drain(..above).filter(|acked| !acked).count();
        }
        usize::from(!std::mem::replace(&mut self.acked[above - 1], true))
    }
}

/// A body of the size that the endpoint's own page shows.
fn body(number: u64) -> Vec<u8> {
    format!(
        r#"{{"action":"revoke","username":"commerce@email.com","refresh_token":"OqLWq5BoSm3ZHbfaY_D3J_XuKB1TOdrHl{number:010}","client_id":"yhaPE3jtHXHMKUZBBFr9QS1x1FaXxr"}}"#
    )
    .into_bytes()
}

fn properties(number: u64) -> BasicProperties {
    let mut headers = FieldTable::default();
    let trace = format!("00-{number:032x}-00f067aa0ba902b7-01");
    headers.insert("traceparent".into(), AMQPValue::LongString(trace.as_bytes().into()));
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(format!("job-{number}").into())
        .with_timestamp(1_700_000_000)
        .with_headers(headers)
}
