//! What somebody else has to provision for a worker: its queues with their arguments, in a form that is not lapin's.

use lapin::{
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::settings::BrokerSettings;
use crate::domain::Lane;

/// The virtual host of a URL that cannot be read. The configuration refuses such URLs.
const DEFAULT_VHOST: &str = "/";

/// The queues of a worker, and where they belong.
#[derive(Debug)]
pub struct Provisioning {
    /// The virtual host of the first broker's URL.
    pub vhost: String,
    /// Every queue. Targets of dead-lettering come first.
    pub queues: Vec<ProvisionedQueue>,
    /// The queues of the lanes.
    pub lanes: Vec<String>,
    /// The dead-letter queue.
    pub dead: String,
    /// The queue for outcome events, if they are wanted.
    pub outcomes: Option<String>,
}

/// One durable queue.
#[derive(Debug)]
pub struct ProvisionedQueue {
    pub name: String,
    pub arguments: Map<String, Value>,
}

impl Provisioning {
    pub fn of(settings: &BrokerSettings) -> Self {
        let queues = settings.queues();
        let url = settings.urls.first().and_then(|url| url.expose_secret().parse().ok());
        Self {
            vhost: url.map_or_else(|| DEFAULT_VHOST.to_owned(), |url: AMQPUri| url.vhost),
            lanes: Lane::ALL.map(|lane| queues.lane(lane).to_string()).into(),
            dead: queues.dead().to_string(),
            outcomes: queues.outcomes().map(ToString::to_string),
            queues: queues
                .all()
                .into_iter()
                .map(|(name, arguments)| ProvisionedQueue {
                    name: name.to_string(),
                    arguments: as_json(&arguments),
                })
                .collect(),
        }
    }

    /// The names of all queues but the lanes.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        let names = self.queues.iter().map(|queue| queue.name.as_str());
        names.filter(|name| !self.lanes.iter().any(|lane| lane == name))
    }

    /// The names of the queues that parked jobs wait in.
    pub fn retry(&self) -> impl Iterator<Item = &str> {
        self.others().filter(|name| *name != self.dead && self.outcomes.as_deref() != Some(*name))
    }
}

fn as_json(arguments: &FieldTable) -> Map<String, Value> {
    let value = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        AMQPValue::LongLongInt(number) => Value::from(*number),
        // No queue of ours has another type; a test looks at each.
        _ => Value::Null,
    };
    let entries = arguments.inner().iter();
    entries.map(|(name, argument)| (name.to_string(), value(argument))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::broker::queues::Queues;

    #[test]
    fn every_argument_has_a_form_in_json() {
        let park = [Duration::from_secs(10)];
        for (name, arguments) in Queues::new("jobs", &park).with_outcomes(Some("events")).all() {
            let json = as_json(&arguments);
            assert!(json.len() >= 2 && json.values().all(|value| !value.is_null()), "{name}");
        }
        let own = Queues::new("jobs", &park).own(Lane::Bulk);
        let expected = json!({
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "jobs.bulk",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-message-ttl": 10_000,
        });
        assert_eq!(Value::Object(as_json(&own[1].1)), expected);
    }
}
