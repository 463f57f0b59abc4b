//! The rules of settlements at the broker: a delivery is acked only if its job is proved or stored elsewhere.

use revoker::broker::{OutgoingMessage, seams::Settle};
use serde_json::Value;

use super::{LifeNumber, Number, Witness, record::Decided};
use crate::broker::Message;
use tokio::time::Instant;

impl Witness {
    /// Records that a queue stored the message of a delivery.
    pub fn stored(&self, number: Number, letter: &OutgoingMessage, original: &Message) {
        self.note(|| format!("{number}: stored in {}", letter.queue));
        let mut state = self.state();
        state.count("letter", "stored");
        let record = state.record(number);
        record.stored = true;
        let decided = record.decided.map(|(decided, _)| decided);
        drop(state);
        if !matches!(decided, Some(Decided::Dead(_) | Decided::Parked)) {
            self.violated(format!("{number}: a letter of a delivery that is {decided:?}"));
        }
        if letter.body != original.body {
            self.violated(format!("{number}: the body was changed on its way to another queue"));
        }
        let id = original.properties.message_id();
        let properties = letter.properties();
        if properties.message_id() != id || properties.expiration().is_some() {
            self.violated(format!("{number}: properties of its letter: {properties:?}"));
        }
    }

    /// Records that the queue of outcome events stored the event of a delivery.
    pub fn recorded(&self, number: Number, event: &OutgoingMessage) {
        self.note(|| format!("{number}: its event is stored"));
        let body: Value = serde_json::from_slice(&event.body).unwrap_or_default();
        let outcome = body["data"]["outcome"].as_str().map(str::to_owned);
        let mut state = self.state();
        state.count("letter", "event stored");
        let record = state.record(number);
        let decided = record.decided.map(|(decided, _)| decided);
        let expected = decided.and_then(Decided::event);
        let fits = outcome.is_some() && outcome.as_deref() == expected;
        record.recorded = outcome;
        drop(state);
        if !fits {
            self.violated(format!("{number}: {decided:?}, and its event says {body}"));
        }
    }

    /// Records that the broker never accepts the message of a delivery.
    pub fn unpublishable(&self, number: Number, is_event: bool) {
        self.count("letter", if is_event { "event unpublishable" } else { "unpublishable" });
        self.state().record(number).unpublishable |= !is_event;
    }

    /// Records that the broker got a settlement: an ack, a requeue, or a dead-lettering by the broker.
    pub fn told(&self, number: Number, settle: Settle) {
        let how = match settle {
            Settle::Ack => "acked",
            Settle::Requeue => "requeued",
            Settle::DeadLetter => "dead-lettered",
        };
        self.note(|| format!("{number}: the broker is told: {how}"));
        let declared = self.plan.worker.declared;
        let mut state = self.state();
        state.count("delivery", how);
        let record = state.record(number);
        let decided = record.decided.map(|(decided, _)| decided);
        let (allowed, ends) = match (decided, settle) {
            (Some(Decided::Done(_)), Settle::Ack) => (true, true),
            (Some(Decided::Dead(_)), Settle::Ack) => (record.stored, true),
            (Some(Decided::Dead(_)), Settle::DeadLetter) => {
                (record.unpublishable && declared, true)
            }
            (Some(Decided::Parked), Settle::Ack) => (record.stored, false),
            (Some(Decided::Requeued) | None, Settle::Requeue) => (true, false),
            (Some(_), Settle::Requeue) => (record.given_up, false),
            (_, Settle::Ack | Settle::DeadLetter) => (false, false),
        };
        let unrecorded =
            ends && self.plan.worker.pipeline.records.events && record.recorded.is_none();
        if ends {
            let job = record.job;
            *state.ended.entry(job).or_default() += 1;
        }
        drop(state);
        if unrecorded {
            self.violated(format!("{number}: {how} without its event"));
        }
        if !allowed {
            self.violated(format!("{number}: {how} though it was decided as {decided:?}"));
        }
    }

    /// Records the end of a session: its unsettled deliveries are delivered again.
    pub fn session_ended(&self, life: LifeNumber, lost: &[Number], orderly: bool) {
        self.count("session", if orderly { "closed" } else { "lost" });
        self.note(|| format!("worker {life}: {} deliveries lost with the session", lost.len()));
        let mut left = Vec::new();
        for number in lost {
            let mut state = self.state();
            let record = state.record(*number);
            record.lost.get_or_insert_with(Instant::now);
            if orderly && !record.settled {
                left.push(format!("{number}: in flight as the worker closes in order"));
            }
        }
        self.all_violated(left);
    }
}
