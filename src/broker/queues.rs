//! The names and arguments of all queues of a worker.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use crate::domain::{Lane, PerLane};

/// The number of deliveries of one message before the broker dead-letters it. It must be explicit: RabbitMQ 4 drops
/// messages after 20 by default, and each read of a dead letter counts. "Unlimited" is -1 on 4.x, which 3.10 takes
/// for "drop at once".
const DELIVERY_LIMIT: i64 = 1_000_000;

/// The queues of one worker.
#[derive(Debug, Clone)]
pub struct Queues {
    lanes: PerLane<ShortString>,
    retry: PerLane<Vec<(Duration, ShortString)>>,
    retry_prefix: String,
    dead: ShortString,
    outcomes: Option<ShortString>,
}

impl Queues {
    /// The queues named after `base`, with a retry queue in each lane for each delay of `park`. Names are cut to the
    /// length that AMQP allows; the configuration refuses a base that needs it.
    #[must_use]
    pub fn new(base: &str, park: &[Duration]) -> Self {
        let retry_prefix = format!("{base}.retry.");
        let retry = PerLane::from_fn(|lane| {
            park.iter()
                .map(|delay| (*delay, short(&format!("{retry_prefix}{lane}.{}", compact(*delay)))))
                .collect()
        });
        Self {
            lanes: PerLane { interactive: short(base), bulk: short(&format!("{base}.bulk")) },
            retry,
            retry_prefix,
            dead: short(&format!("{base}.dead")),
            outcomes: None,
        }
    }

    /// The same with a queue for outcome events, if there is one.
    #[must_use]
    pub fn with_outcomes(self, queue: Option<&str>) -> Self {
        Self { outcomes: queue.map(short), ..self }
    }

    /// The name after which the queues are named.
    #[must_use]
    pub fn family(&self) -> &str {
        self.lanes.interactive.as_str()
    }

    /// The queue for outcome events.
    #[must_use]
    pub const fn outcomes(&self) -> Option<&ShortString> {
        self.outcomes.as_ref()
    }

    /// The lane's queue.
    #[must_use]
    pub const fn lane(&self, lane: Lane) -> &ShortString {
        self.lanes.get(lane)
    }

    /// The lane whose queue has that name.
    pub(super) fn lane_of(&self, name: &str) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| self.lane(*lane).as_str() == name)
    }

    /// The dead-letter queue.
    #[must_use]
    pub const fn dead(&self) -> &ShortString {
        &self.dead
    }

    /// The lane's retry queue for `delay`, or for the longest delay below it.
    #[must_use]
    pub fn retry(&self, lane: Lane, delay: Duration) -> Option<&ShortString> {
        let queues = self.retry.get(lane);
        let fitting = queues.iter().rev().find(|(of, _)| *of <= delay);
        fitting.or(queues.first()).map(|(_, name)| name)
    }

    /// Every retry queue of both lanes.
    pub(super) fn all_retry(&self) -> impl Iterator<Item = &ShortString> {
        Lane::ALL.into_iter().flat_map(|lane| self.retry.get(lane)).map(|(_, name)| name)
    }

    /// Whether that name is a retry queue of this worker, with today's or an earlier delay.
    pub(super) fn is_retry(&self, name: &str) -> bool {
        name.starts_with(&self.retry_prefix)
    }

    /// Every queue with its arguments. Targets of dead-lettering come first.
    #[must_use]
    pub fn all(&self) -> Vec<(ShortString, FieldTable)> {
        let lanes = Lane::ALL.into_iter().flat_map(|lane| self.own(lane));
        self.records().chain(lanes).collect()
    }

    /// The queues that a lane needs, with their arguments. Targets of dead-lettering come first.
    pub(super) fn needed_by(&self, lane: Lane) -> Vec<(ShortString, FieldTable)> {
        self.records().chain(self.own(lane)).collect()
    }

    /// The queues of a lane alone, with their arguments.
    #[must_use]
    pub fn own(&self, lane: Lane) -> Vec<(ShortString, FieldTable)> {
        let queue = self.lane(lane);
        let retry = self.retry.get(lane).iter().map(|(delay, name)| {
            let mut arguments = dead_lettering(quorum(), queue);
            let ttl = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl));
            (name.clone(), arguments)
        });
        let own = (queue.clone(), dead_lettering(quorum(), &self.dead));
        [own].into_iter().chain(retry).collect()
    }

    /// The queues for what jobs leave behind, with their arguments: dead letters and outcome events.
    fn records(&self) -> impl Iterator<Item = (ShortString, FieldTable)> {
        [Some(&self.dead), self.outcomes()]
            .into_iter()
            .flatten()
            .map(|queue| (queue.clone(), quorum()))
    }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    arguments
}

/// At-least-once keeps a dead-lettered message until the target has it. It requires `reject-publish`.
fn dead_lettering(mut arguments: FieldTable, to: &ShortString) -> FieldTable {
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(to.as_str()));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value.as_bytes()))
}

/// A duration as part of a queue name: `10s`, `5m`, `1m30s`.
fn compact(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// A name as AMQP's short string, cut at a character if too long (`From` would panic).
pub(super) fn short(name: &str) -> ShortString {
    let mut end = name.len().min(usize::from(u8::MAX));
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    ShortString::try_new(&name[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARK: [Duration; 3] =
        [Duration::from_secs(10), Duration::from_secs(90), Duration::from_secs(3600)];

    #[test]
    fn the_family_is_named_after_its_base() {
        let queues = Queues::new("revocations", &PARK);
        let names: Vec<String> = queues.all().iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(
            names,
            [
                "revocations.dead",
                "revocations",
                "revocations.retry.interactive.10s",
                "revocations.retry.interactive.1m30s",
                "revocations.retry.interactive.1h",
                "revocations.bulk",
                "revocations.retry.bulk.10s",
                "revocations.retry.bulk.1m30s",
                "revocations.retry.bulk.1h",
            ]
        );
        assert!(queues.is_retry("revocations.retry.bulk.7h"), "of an earlier configuration");
        let needed: Vec<_> =
            queues.needed_by(Lane::Bulk).into_iter().map(|(name, _)| name).collect();
        assert_eq!(needed.len(), 5, "{needed:?}");
        assert!(needed.contains(queues.dead()) && !needed.contains(queues.lane(Lane::Interactive)));
        assert!(!queues.is_retry("other.retry.bulk.10s"));
    }

    #[test]
    fn a_stay_goes_to_its_queue_or_to_the_longest_below_it() {
        let queues = Queues::new("q", &PARK);
        let retry = |seconds| {
            queues.retry(Lane::Bulk, Duration::from_secs(seconds)).map(ToString::to_string)
        };
        assert_eq!(retry(90).as_deref(), Some("q.retry.bulk.1m30s"));
        assert_eq!(retry(100).as_deref(), Some("q.retry.bulk.1m30s"));
        assert_eq!(retry(1).as_deref(), Some("q.retry.bulk.10s"));
    }

    #[test]
    fn the_queue_of_events_is_needed_by_both_lanes_and_has_the_arguments_of_the_dead_letter_queue()
    {
        let queues = Queues::new("q", &PARK).with_outcomes(Some("events"));
        for lane in Lane::ALL {
            let needed = queues.needed_by(lane);
            let arguments = |of: &str| {
                needed.iter().find(|(name, _)| name.as_str() == of).map(|(_, with)| with.clone())
            };
            assert_eq!(arguments("events"), arguments("q.dead"));
            assert!(arguments("events").is_some());
        }
        assert!(Queues::new("q", &PARK).outcomes().is_none());
    }

    #[test]
    fn a_name_is_cut_at_a_character() {
        assert_eq!(short(&"ñ".repeat(200)).as_str().len(), 254);
    }
}
