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

/// A message, and what is known of it apart from its content.
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
    /// A job as its producer publishes it; one that forges a past writes these headers.
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

    /// The message that a worker's letter becomes.
    pub fn copied(&self, letter: &OutgoingMessage, parked: Option<History>) -> Self {
        Self {
            body: letter.body.clone(),
            properties: letter.properties.clone(),
            redelivered: false,
            parked,
            ..self.clone()
        }
    }

    /// The stay in a retry queue is over: the broker says where the message was.
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

    /// The properties of one delivery, which carries its number as its trace: the calls made for it
    /// carry the same.
    pub fn traced(&self, trace: &str) -> BasicProperties {
        let mut headers = self.properties.headers().clone().unwrap_or_default();
        headers.insert("traceparent".into(), text(trace));
        self.properties.clone().with_headers(headers)
    }
}

/// What a stranger writes to pass for a job that was called before. `from`: the retry queue that it
/// claims to come out of, with a MAC that it makes up.
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
