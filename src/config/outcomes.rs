//! The section `outcomes`, and the log's records of jobs that ended.

use crate::{domain::TokenHash, endpoint, pipeline::RecordSettings};

use super::{
    broker::{self, QUEUE},
    faults::Problem,
    reader::ConfigReader,
    value,
};

const OUTCOMES: &str = "outcomes.queue";

const HASHES: [(&str, TokenHash); 3] =
    [("short", TokenHash::Short), ("full", TokenHash::Full), ("none", TokenHash::Omitted)];

/// The queue for outcome events of a worker whose other queues are named after `family`, and the settings of records.
pub(super) fn read(
    reader: &mut ConfigReader,
    family: &str,
    endpoint: &endpoint::Settings,
) -> (Option<String>, RecordSettings) {
    let queue = reader.optional(OUTCOMES, value::text().and(broker::queue_name));
    let is_free = queue.as_deref().is_none_or(|queue| !is_of_family(queue, family));
    reader.require(&[OUTCOMES, QUEUE], is_free, || {
        Problem::new(
            "is a queue for jobs or dead letters: an event would be taken for a job",
            format!("choose another name, like \"{family}.outcomes\""),
        )
    });
    let records = RecordSettings {
        events: queue.is_some(),
        log: reader.required("log.successes", value::flag()),
        token_hash: reader.required("outcomes.token_hash", value::choice(&HASHES)),
        profile: endpoint.profile.name.as_str().into(),
        endpoint: endpoint.url.origin().ascii_serialization().into(),
        takes_any_client: endpoint.profile.takes_any_client(endpoint.auth.method),
    };
    (queue, records)
}

/// Whether a queue of that name is, or can become, another queue of the family.
fn is_of_family(queue: &str, family: &str) -> bool {
    let Some(rest) = queue.strip_prefix(family) else { return false };
    matches!(rest, "" | ".bulk" | ".dead") || rest.starts_with(".retry.")
}
