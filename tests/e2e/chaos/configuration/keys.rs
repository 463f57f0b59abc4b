//! Tests of every documented key: missing, of the wrong type, out of range, misspelt.

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use toml::Value;

use super::{Check, assert_refused, leave};
use crate::{
    chaos::{Evidence, documented::Setting},
    harness::{Launch, canary},
};

/// Processes at a time.
const AT_A_TIME: usize = 4;
/// Addresses without a server, because these tests reach neither broker nor endpoint.
const NOBODY: [(&str, &str); 2] =
    [("endpoint.url", "\"http://127.0.0.1:1/revoke\""), ("broker.url", "\"amqp://127.0.0.1:1\"")];

/// Runs each launch, and asserts that it is refused with these words.
async fn all_are_refused(launches: Vec<(Launch, Vec<String>)>) -> usize {
    let count = launches.len();
    stream::iter(launches)
        .for_each_concurrent(AT_A_TIME, async |(launch, words)| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_refused(&launch.run().await, &words);
        })
        .await;
    count
}

/// A value of another type than the setting's, with a canary if possible.
fn of_another_type(value: &Value) -> Value {
    match value {
        Value::String(_) => Value::Integer(7),
        _ => Value::String(canary::SECRET.to_owned()),
    }
}

/// Values of the setting's own type that no bounds allow.
fn out_of_range(setting: &Setting) -> Vec<Value> {
    match &setting.value {
        _ if setting.is_duration() => {
            let beyond = Value::from("400000000s");
            let is_list = setting.value.is_array();
            vec![if is_list { Value::Array(vec![beyond]) } else { beyond }]
        }
        Value::Integer(_) => vec![Value::Integer(-1), Value::Integer(i64::MAX)],
        Value::Float(_) => vec![Value::Float(-0.5), Value::Float(1e300), Value::Float(f64::NAN)],
        Value::String(_) => vec![Value::from("")],
        Value::Array(_) => vec![Value::Array(Vec::new())],
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_wrong_type() {
    let (began, check) = (Instant::now(), Check::new());
    let launches = Setting::all()
        .into_iter()
        .map(|setting| {
            let line = setting.line(&of_another_type(&setting.value));
            (check.with(&setting.key, &line), vec![setting.key])
        })
        .collect();
    let count = all_are_refused(launches).await;
    leave("each key of the wrong type", Evidence::of(count, "refusals"), began);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_its_range() {
    let (began, check) = (Instant::now(), Check::new());
    let mut launches = Vec::new();
    for setting in Setting::all() {
        for (nth, value) in out_of_range(&setting).iter().enumerate() {
            let name = format!("{}-{nth}", setting.key);
            launches.push((check.with(&name, &setting.line(value)), vec![setting.key.clone()]));
        }
    }
    let count = all_are_refused(launches).await;
    leave("each key out of range", Evidence::of(count, "refusals"), began);
}

/// In a file and in the environment, with the right key named.
#[tokio::test(flavor = "multi_thread")]
async fn misspelt() {
    let (began, check) = (Instant::now(), Check::new());
    let mut launches = Vec::new();
    for setting in Setting::all() {
        let wrong = swapped(&setting.key);
        let line = format!("{wrong} = \"{}\"\n", canary::SECRET);
        let words = vec![wrong.clone(), format!("the nearest known one is {}", setting.key)];
        launches.push((check.with(&setting.key, &line), words));
        // Ids are case sensitive, so the environment cannot set keys below them.
        if !setting.key.starts_with("credentials.clients.") {
            let launch = check.with("nothing.toml", "").set(&wrong, canary::SECRET);
            launches.push((launch, vec![variable(&wrong), variable(&setting.key)]));
        }
    }
    let count = all_are_refused(launches).await;
    leave("each key misspelt", Evidence::of(count, "refusals that name the right key"), began);
}

/// A key with the last two letters of its name swapped, or doubled where they are the same.
fn swapped(key: &str) -> String {
    let (rest, two) = key.split_at(key.len() - 2);
    let (before, last) = two.split_at(1);
    if before == last { format!("{key}{last}") } else { format!("{rest}{last}{before}") }
}

fn variable(key: &str) -> String {
    format!("REVOKER_{}", key.to_uppercase().replace('.', "__"))
}

/// A missing key has its default; only the client has none.
#[tokio::test(flavor = "multi_thread")]
async fn missing() {
    let (began, check) = (Instant::now(), Check::new());
    let defaults: Vec<Setting> =
        Setting::all().into_iter().filter(|setting| setting.is_default).collect();
    let launches: Vec<(String, Launch)> = defaults
        .iter()
        .map(|left_out| {
            let others = defaults.iter().filter(|other| other.key != left_out.key);
            let mut file: String = others
                .filter(|other| NOBODY.iter().all(|(key, _)| *key != other.key))
                .map(|other| other.line(&other.value))
                .collect();
            for (key, value) in NOBODY.iter().filter(|(key, _)| *key != left_out.key) {
                file.extend([*key, " = ", *value, "\n"]);
            }
            (left_out.key.clone(), check.with(&left_out.key, &file))
        })
        .collect();
    let count = launches.len();
    stream::iter(launches)
        .for_each_concurrent(AT_A_TIME, async |(key, launch)| {
            let (worker, _) = launch.run().await;
            let table = worker.stdout();
            assert!(table.contains("every key is valid"), "{key}: {table}{}", worker.stderr());
        })
        .await;

    let id = ("credentials.client_id", "some-client");
    let secret = ("credentials.client_secret", canary::SECRET);
    for (given, missing) in [
        (vec![], vec!["credentials.client_id", "credentials.client_secret"]),
        (vec![id], vec!["credentials.client_secret"]),
        (vec![secret], vec!["credentials.client_id"]),
    ] {
        let launch = given.iter().fold(check.bare(), |launch, (key, value)| launch.set(key, value));
        assert_refused(&launch.run().await, &missing);
    }
    let evidence = Evidence::of(count, "defaults in force").and(3, "refusals without a client");
    leave("each key missing", evidence, began);
}
