//! The published schemas of headers and queues agree with the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::Value;

use super::{
    headers::{name, of_dead_letter, of_parked},
    history_keys::HistoryKeys,
    outcome_event::{JobIdentity, message},
    queues::{Queues, short},
};
use crate::domain::{
    Ambiguity, Completion, DeadLetter, Fingerprint, History, JobRecord, Lane, Proof, Reason,
    ResultLabel, TokenName,
    published_schema::{
        asyncapi, dead_letter_headers, keys, names, outcome_event, parked_job_headers, texts,
    },
};

const AT: SystemTime = SystemTime::UNIX_EPOCH;

/// The delays of `retry.park` by default.
const PARK: [u64; 5] = [10, 60, 300, 900, 3600];

fn queues() -> Queues {
    Queues::new("revocations", &PARK.map(Duration::from_secs))
}

/// The least that a job can have in its headers, and the most.
fn histories() -> [History; 2] {
    let most = History {
        attempts: 1,
        stays: 1,
        first_failed_at: Some(AT),
        last_error: Some(ResultLabel::Timeout),
        ambiguity: Some(Ambiguity::Attempt),
        paused: Duration::from_secs(1),
        parked_at: Some(AT),
        verified: false,
    };
    [History::default(), most]
}

/// A message with as few headers as possible, and one with all that a worker copies of its own.
fn originals() -> [BasicProperties; 2] {
    let own =
        [(name::REPLAYS, AMQPValue::LongInt(1)), (name::HEADERS_DROPPED, AMQPValue::Boolean(true))];
    let headers: BTreeMap<_, _> =
        own.into_iter().map(|(name, value)| (short(name), value)).collect();
    [BasicProperties::default(), BasicProperties::default().with_headers(headers.into())]
}

fn letters() -> [DeadLetter; 2] {
    let least = DeadLetter {
        reason: Reason::Rejected,
        detail: String::new(),
        code: None,
        http_status: None,
        fingerprint: None,
        dead_at: AT,
    };
    let most = DeadLetter {
        code: Some("01".to_owned()),
        http_status: Some(200),
        fingerprint: Some(Fingerprint::of("token")),
        ..least.clone()
    };
    [least, most]
}

/// The AMQP type of each header, by name.
fn types_of(properties: &BasicProperties) -> BTreeMap<String, String> {
    let headers = properties.headers().clone().unwrap_or_default();
    headers.into_iter().map(|(name, value)| (name.to_string(), type_of(value))).collect()
}

fn type_of(value: &AMQPValue) -> String {
    format!("{:?}", value.get_type())
}

/// The AMQP type of each header in a schema. One schema refers to the other.
fn described(schema: &Value) -> BTreeMap<String, String> {
    let all = dead_letter_headers();
    let of = |name: &String| {
        let own = &schema["properties"][name];
        let described = if own.get("$ref").is_some() { &all["properties"][name] } else { own };
        described["x-amqp-type"].as_str().unwrap().to_owned()
    };
    keys(schema, "/properties").into_iter().map(|name| (name.clone(), of(&name))).collect()
}

/// The headers with their types in all of these messages, and the names of those that are in each.
fn seen(
    messages: impl IntoIterator<Item = BasicProperties>,
) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let mut messages = messages.into_iter().map(|properties| types_of(&properties));
    let mut all = messages.next().unwrap();
    let mut always: BTreeSet<_> = all.keys().cloned().collect();
    for headers in messages {
        always.retain(|name| headers.contains_key(name));
        all.extend(headers);
    }
    (all, always)
}

#[test]
fn the_schema_has_the_headers_of_a_dead_letter() {
    let schema = dead_letter_headers();
    let [least, most] = letters();
    let keys_of = [HistoryKeys::none(), HistoryKeys::from_text(&[b'k'; 32]).unwrap()];
    let (all, always) =
        seen(originals().into_iter().zip(histories()).flat_map(|(original, history)| {
            [(&least, &keys_of[0]), (&most, &keys_of[1])].map(|(letter, keys)| {
                of_dead_letter(&original, b"{}", Lane::Bulk, letter, &history, &queues(), keys)
            })
        }));
    assert_eq!(described(&schema), all);
    assert_eq!(texts(&schema, "/required"), always);
    assert_eq!(texts(&schema, "/propertyNames/anyOf/1/enum"), keys(&schema, "/properties"));
    let of = |name: &str| texts(&schema["properties"][name], "/enum");
    assert_eq!(of(name::REASON), names(Reason::ALL));
    assert_eq!(of(name::LAST_ERROR), names(ResultLabel::ALL));
    assert_eq!(of(name::AMBIGUITY), names(Ambiguity::ALL));
    assert_eq!(of(name::LANE), names(Lane::ALL));
}

#[test]
fn the_schema_has_the_headers_of_a_parked_job() {
    let schema = parked_job_headers();
    let keys = HistoryKeys::from_text(&[b'k'; 32]).unwrap();
    let (all, always) =
        seen(originals().into_iter().zip(histories()).flat_map(|(original, history)| {
            [&HistoryKeys::none(), &keys]
                .map(|keys| of_parked(&original, b"{}", Lane::Bulk, &history, &queues(), keys))
        }));
    assert_eq!(described(&schema), all);
    assert_eq!(texts(&schema, "/required"), always);
}

/// A new name has to be in one of the schemas.
#[test]
fn the_schemas_have_every_header_of_ours() {
    let source = include_str!("headers/name.rs");
    let ours: BTreeSet<_> = source
        .lines()
        .filter_map(|line| line.split('"').nth(1))
        .filter(|name| *name != name::PREFIX)
        .map(ToOwned::to_owned)
        .collect();
    let mut described = keys(&dead_letter_headers(), "/properties");
    described.extend(keys(&parked_job_headers(), "/properties"));
    assert_eq!(described, ours);
}

/// Arguments of queues, by the name of the queue.
type Arguments = BTreeMap<String, Value>;

/// The arguments of a queue in JSON.
fn table(table: &FieldTable) -> Value {
    let json = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => Value::from(text.to_string()),
        AMQPValue::LongLongInt(number) => Value::from(*number),
        other => panic!("{other:?}"),
    };
    table.into_iter().map(|(name, value)| (name.to_string(), json(value))).collect()
}

fn declared() -> Arguments {
    let all = queues().all();
    all.iter().map(|(name, arguments)| (name.to_string(), table(arguments))).collect()
}

/// The retry queues of the document, with their arguments.
fn retry_queues(document: &Value) -> Arguments {
    let retry = &document["channels"]["retry"];
    let mut described = Arguments::new();
    for lane in texts(retry, "/parameters/lane/enum") {
        for delay in texts(retry, "/parameters/delay/examples") {
            let address = retry["address"].as_str().unwrap();
            let name = address.replace("{lane}", &lane).replace("{delay}", &delay);
            let mut arguments = retry["x-queue-arguments"].clone();
            let back = &document["channels"][&lane]["address"];
            assert_eq!(arguments["x-dead-letter-routing-key"], "{lane}");
            assert_eq!(arguments["x-message-ttl"], "{delay}");
            let millis = humantime::parse_duration(&delay).unwrap().as_millis();
            arguments["x-dead-letter-routing-key"] = back.clone();
            arguments["x-message-ttl"] = u64::try_from(millis).unwrap().into();
            described.insert(name, arguments);
        }
    }
    described
}

#[test]
fn the_document_has_the_queues_and_their_arguments() {
    let document = asyncapi();
    let mut described = retry_queues(&document);
    for (name, channel) in document["channels"].as_object().unwrap() {
        if name == "outcomes" {
            let queues = queues().with_outcomes(Some("events")).all();
            let events = queues.iter().find(|(name, _)| name.as_str() == "events").unwrap();
            assert_eq!(channel["x-queue-arguments"], table(&events.1));
        } else if name != "retry" {
            let address = channel["address"].as_str().unwrap();
            assert_eq!(channel["bindings"]["amqp"]["queue"]["name"], address);
            described.insert(address.to_owned(), channel["x-queue-arguments"].clone());
        }
    }
    assert_eq!(described, declared());
}

#[test]
fn the_document_has_the_version_and_the_default_names_and_delays() {
    assert_eq!(asyncapi()["info"]["version"], env!("CARGO_PKG_VERSION"));
    let defaults: toml::Table = toml::from_str(include_str!("../../config/default.toml")).unwrap();
    let park = defaults["retry"]["park"].as_array().unwrap();
    let seconds = park
        .iter()
        .map(|delay| humantime::parse_duration(delay.as_str().unwrap()).unwrap().as_secs());
    assert_eq!(seconds.collect::<Vec<_>>(), PARK);
    assert_eq!(
        defaults["broker"]["queue"].as_str(),
        Some(queues().lane(Lane::Interactive).as_str())
    );
}

/// The properties that a job, a dead letter and a parked job have beside their headers.
#[test]
fn the_document_has_the_properties_of_a_message() {
    let copied = BasicProperties::default()
        .with_content_type("t".into())
        .with_content_encoding("e".into())
        .with_message_id("m".into())
        .with_correlation_id("c".into())
        .with_timestamp(1)
        .with_type("k".into())
        .with_app_id("a".into());
    // Never copied: docs/queues.md says why.
    let original = copied
        .clone()
        .with_expiration("1".into())
        .with_user_id("u".into())
        .with_reply_to("r".into())
        .with_priority(1);
    let dead = of_dead_letter(
        &original,
        b"{}",
        Lane::Bulk,
        &letters()[0],
        &History::default(),
        &queues(),
        &HistoryKeys::none(),
    );
    let expected = copied.with_delivery_mode(2);
    assert_eq!(
        dead.clone().with_headers(FieldTable::default()),
        expected.with_headers(FieldTable::default())
    );
    let described = keys(&asyncapi(), "/components/schemas/properties/properties");
    let ours = [
        "content_type",
        "content_encoding",
        "delivery_mode",
        "correlation_id",
        "message_id",
        "timestamp",
        "type",
        "app_id",
    ];
    assert_eq!(described, names(ours));
}

/// The record of a job with as few fields as possible, and one with all of them.
fn records() -> [JobRecord; 2] {
    let least = JobRecord {
        job_id: None,
        token: TokenName::default(),
        lane: Lane::Bulk,
        outcome: "revoked",
        reason: None,
        detail: None,
        code: None,
        http_status: None,
        attempts: 1,
        requested_at: None,
        settled_at: AT,
        profile: "p".into(),
        endpoint: "e".into(),
        client_id: None,
        proof: Proof::Said,
        trace_id: None,
        hides_token: false,
    };
    let some = || Some("x".to_owned());
    let most = JobRecord {
        job_id: some(),
        token: TokenName { fingerprint: Some(Fingerprint::of("token")), token_sha256: some() },
        reason: Some(Reason::Gone),
        detail: some(),
        code: some(),
        http_status: Some(200),
        requested_at: Some(AT),
        client_id: Some("c".into()),
        trace_id: some(),
        hides_token: false,
        ..least.clone()
    };
    [least, most]
}

#[test]
fn the_schema_has_the_fields_of_an_outcome_event() {
    let schema = outcome_event();
    let job = JobIdentity { message_id: None, body: b"{}" };
    let [least, most] = records().map(|record| {
        let sent = message(&record, job, &short("events"), "revocations");
        serde_json::from_slice::<Value>(&sent.body).unwrap()
    });
    assert_eq!(keys(&schema, "/properties"), keys(&most, ""));
    assert_eq!(texts(&schema, "/required"), keys(&least, ""));
    for fixed in ["specversion", "type", "datacontenttype"] {
        assert_eq!(schema["properties"][fixed]["const"], least[fixed], "{fixed}");
    }
    let settled = &schema["$defs"]["settled"];
    assert_eq!(keys(settled, "/properties"), keys(&most["data"], ""));
    assert_eq!(texts(settled, "/required"), keys(&least["data"], ""));
    let of = |name: &str| texts(&settled["properties"][name], "/enum");
    let outcomes = Completion::ALL.map(Completion::as_str).into_iter().chain(["dead_lettered"]);
    assert_eq!(of("outcome"), names(outcomes));
    assert_eq!(of("reason"), names(Reason::ALL));
    assert_eq!(of("proof"), names(Proof::ALL));
    assert_eq!(of("lane"), names(Lane::ALL));
}
