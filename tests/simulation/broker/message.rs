//! A message in the broker.

use std::time::SystemTime;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use revoker::{
    broker::OutgoingMessage,
    domain::{Ambiguity, History, ResultLabel},
};

use crate::plan::JobPlan;

const AMBIGUITY: &str = "x-revoker-ambiguity";

/// A message, with its metadata.
#[derive(Clone)]
pub struct Message {
    /// The job, by its number in the plan.
    pub job: usize,
    pub published: SystemTime,
    pub body: Vec<u8>,
    pub properties: BasicProperties,
    pub redelivered: bool,
    /// The history that a worker sent with it into a retry queue.
    pub parked: Option<History>,
}

impl Message {
    /// A job as its producer publishes it, with forged headers if its plan says so.
    pub fn new(number: usize, job: &JobPlan, published: SystemTime, forged: FieldTable) -> Self {
        let properties = BasicProperties::default().with_message_id(format!("job-{number}").into());
        Self {
            job: number,
            published,
            body: job.body(number, published),
            properties: if job.forged { properties.with_headers(forged) } else { properties },
            redelivered: false,
            parked: None,
        }
    }

    /// The message that a worker publishes for this one.
    pub fn copied(&self, letter: &OutgoingMessage, parked: Option<History>) -> Self {
        Self {
            body: letter.body.clone(),
            properties: letter.properties().into_owned(),
            redelivered: false,
            parked,
            ..self.clone()
        }
    }

    /// Ends the stay in a retry queue: the broker records the queue of the stay.
    pub fn come_back(&mut self, from: Option<&ShortString>, forgetful: bool) {
        let mut headers = self.properties.headers().clone().unwrap_or_default();
        if let Some(queue) = from {
            headers.insert("x-first-death-queue".into(), text(queue.as_str()));
        }
        if forgetful {
            let mut others = headers.inner().clone();
            others.remove(AMBIGUITY);
            headers = others.into();
        }
        self.properties = self.properties.clone().with_headers(headers);
    }

    /// The properties of one delivery. Its trace is its number, so its calls carry the number too.
    pub fn traced(&self, trace: &str) -> BasicProperties {
        let mut headers = self.properties.headers().clone().unwrap_or_default();
        headers.insert("traceparent".into(), text(trace));
        self.properties.clone().with_headers(headers)
    }
}

/// The headers of a forged history. `from` is the claimed retry queue, and the MAC is forged.
pub fn forged(from: Option<&ShortString>) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(AMBIGUITY.into(), text(Ambiguity::Attempt.as_str()));
    headers.insert("x-revoker-last-error".into(), text(ResultLabel::Timeout.as_str()));
    headers.insert("x-revoker-parked".into(), AMQPValue::LongInt(7));
    headers.insert("x-revoker-first-failed-at".into(), AMQPValue::Timestamp(1));
    if let Some(queue) = from {
        headers.insert("x-first-death-queue".into(), text(queue.as_str()));
        headers.insert("x-revoker-mac".into(), text(&format!("v2:{}", "0".repeat(64))));
    }
    headers
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
