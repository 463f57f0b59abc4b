//! A broker in memory, without a socket: it delivers jobs and counts acks.

use std::{collections::VecDeque, sync::Arc};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use tokio::sync::mpsc;

use revoker::{
    broker::{
        AmqpDelivery, HistoryKeys, Publisher, Queues, SettlementTargets,
        seams::{ChannelLedger, Frame, PublishRequest, Receipt, Received, Settle, read_metadata},
    },
    domain::Lane,
    ports::{Clock, Source, SystemClock},
};

/// Deliveries that are not acked yet, at most.
pub const PREFETCH: usize = 256;

/// The client of each job.
pub const CLIENT_ID: &str = "yhaPE3jtHXHMKUZBBFr9QS1x1FaXxr";

/// A number with digits as in a random one. Rows of zeros would make ids that seem to show a part of the token.
fn spread(number: u64) -> u128 {
    u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

/// The requested number of jobs, delivered like a session. It reads the acks itself when the prefetch is used up,
/// because an acker's timer would depend on the machine's speed.
pub struct Backlog {
    left: usize,
    delivered: u64,
    ledger: Arc<ChannelLedger>,
    targets: Arc<SettlementTargets>,
    /// The outcome events to be confirmed.
    events: mpsc::Receiver<PublishRequest>,
    frames: Vec<Frame>,
    /// Whether each delivery above `mark` was acked, in their order.
    acked: VecDeque<bool>,
    mark: u64,
    in_flight: usize,
}

impl Backlog {
    pub fn new(jobs: usize) -> Self {
        let (publisher, events) = Publisher::pair();
        Self {
            left: jobs,
            delivered: 0,
            ledger: Arc::default(),
            targets: Arc::new(SettlementTargets {
                queues: Arc::new(Queues::new("q", &[]).with_outcomes(Some("q.outcomes"))),
                publisher,
                health: Arc::default(),
                declared: true,
                history_keys: Arc::new(HistoryKeys::none()),
            }),
            events,
            frames: Vec::new(),
            acked: VecDeque::new(),
            mark: 0,
            in_flight: 0,
        }
    }

    fn confirm_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            assert!(event.take().is_some(), "the job was settled without its event");
            event.respond(Ok(()));
        }
    }

    fn hear_acks(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        self.ledger.flush(&mut frames);
        for frame in frames.drain(..) {
            assert_eq!(frame.settle, Settle::Ack, "a job was given back");
            self.in_flight -= self.ack(frame.tag, frame.multiple);
        }
        self.frames = frames;
    }

    /// The number of deliveries that a frame acks.
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

    fn deliver(&mut self) -> AmqpDelivery {
        self.left -= 1;
        self.in_flight += 1;
        self.delivered += 1;
        assert!(self.ledger.delivered(self.delivered), "the tags are in order");
        let (properties, body) = (properties(self.delivered), body(self.delivered));
        let now = SystemClock.now();
        let received =
            Received { properties: &properties, body: &body, lane: Lane::Bulk, redelivered: false };
        let metadata =
            read_metadata(received, &self.targets.queues, &self.targets.history_keys, now);
        let receipt = Receipt::new(self.delivered, Arc::clone(&self.ledger));
        AmqpDelivery::new(metadata, body, properties, receipt, Arc::clone(&self.targets), None)
    }
}

impl Source for Backlog {
    type Delivery = AmqpDelivery;

    /// Returns `None` once all jobs are delivered and acked.
    async fn next(&mut self) -> Option<AmqpDelivery> {
        loop {
            if self.left > 0 && self.in_flight < PREFETCH {
                return Some(self.deliver());
            }
            self.confirm_events();
            self.hear_acks();
            if self.left == 0 && self.in_flight == 0 {
                return None;
            }
            if self.in_flight >= PREFETCH || self.left == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// A body of the size in the endpoint's documentation.
fn body(number: u64) -> Vec<u8> {
    let end = spread(number) % 10_000_000_000;
    format!(
        r#"{{"action":"revoke","username":"commerce@email.com","refresh_token":"OqLWq5BoSm3ZHbfaY_D3J_XuKB1TOdrHl{end:010}","client_id":"{CLIENT_ID}"}}"#
    )
    .into_bytes()
}

fn properties(number: u64) -> BasicProperties {
    let mut headers = FieldTable::default();
    let trace = format!("00-{:032x}-00f067aa0ba902b7-01", spread(number));
    headers.insert("traceparent".into(), AMQPValue::LongString(trace.as_bytes().into()));
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(format!("job-{number}").into())
        .with_timestamp(1_700_000_000)
        .with_headers(headers)
}
