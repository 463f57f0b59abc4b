//! `revoker dead-letters` against a real broker.

mod blocked;
mod browsing;
mod discarding;
mod exporting;
mod in_a_terminal;
mod killed;
mod memory;
mod replaying;

use std::time::{SystemTime, UNIX_EPOCH};

use lapin::types::AMQPValue;
use serde_json::Value;

use crate::harness::{DEAD, Launch, Message, Stage, StoredMessage, Worker, message::text, token};

impl Stage {
    /// A command on this stage's dead letters.
    fn dead_letters(&self, action: &str) -> Launch {
        self.launch("dead-letters")
            .arg(action)
            // A broker that is slow, or held up by a test, must not count as gone.
            .set("broker.connect_timeout", "60s")
            .set("broker.confirm_timeout", "60s")
            .set("broker.heartbeat", "60s")
    }

    /// Declares the queues and publishes messages to the dead-letter queue.
    async fn publish_dead(&self, letters: impl IntoIterator<Item = Message>) {
        self.amqp.declare_family().await;
        self.amqp.publish_all(DEAD, letters).await;
    }
}

/// A dead letter of job `n`, as a worker publishes it, one minute old.
fn dead(n: usize, reason: &str) -> Message {
    let lane = if n.is_multiple_of(2) { "interactive" } else { "bulk" };
    Message::job(&token(n))
        .id(&format!("job-{n}"))
        .header("tenant", text("eu"))
        .header("x-revoker-reason", text(reason))
        .header("x-revoker-detail", text(&format!("detail of {n}")))
        .header("x-revoker-lane", text(lane))
        .header("x-revoker-attempts", AMQPValue::LongInt(3))
        .header("x-revoker-last-error", text("timeout"))
        .header("x-revoker-ambiguous", AMQPValue::Boolean(true))
        .header("x-revoker-ambiguity", text("attempt"))
        .dead_for(60)
}

impl Message {
    /// Sets when it died: this many seconds ago.
    fn dead_for(self, seconds: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.header("x-revoker-dead-at", AMQPValue::Timestamp(now - seconds))
    }
}

/// The JSON that a command printed.
fn json(action: &Worker) -> Value {
    let stdout = action.stdout();
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// The ids of the messages in a list.
fn shown(listing: &Value) -> Vec<&str> {
    listing["letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| letter["id"].as_str().unwrap())
        .collect()
}

fn tokens(letters: &[StoredMessage]) -> Vec<String> {
    letters.iter().map(StoredMessage::token).collect()
}
