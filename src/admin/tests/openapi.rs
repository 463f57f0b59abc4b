//! The published description of the port and the port agree.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::{
    admin::{
        readiness::{ClientReadiness, PartReadiness},
        routes::path_names,
    },
    domain::published_schema::{fields_of, keys, names, openapi, texts},
};

/// Statuses that no request can cause here.
const NEVER_SEEN: [(&str, &str); 1] = [("/metrics", "500")];

/// The statuses and types of all responses, by path: what a server with each kind of part answers.
async fn responses() -> BTreeSet<(String, String, String)> {
    let mut seen = BTreeSet::new();
    for condition in [Condition::Ready, waiting(), not_ready()] {
        let server = AdminServer::start(vec![("flow", TestPart::new(condition))]).await;
        for path in path_names() {
            let answer = server.ask("GET", path).await;
            let typed = |line: &str| line.strip_prefix("content-type: ").map(ToOwned::to_owned);
            let content_type = answer.lines().find_map(typed).unwrap();
            seen.insert((path.to_owned(), status(&answer).to_owned(), content_type));
        }
    }
    seen
}

#[tokio::test]
async fn the_description_has_the_paths_statuses_and_types_of_the_port() {
    let document = openapi();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(keys(&document, "/paths"), names(path_names()));
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert_eq!(keys(methods, ""), names(["get"]), "{path}");
        for (status, response) in methods["get"]["responses"].as_object().unwrap() {
            if NEVER_SEEN.contains(&(path, status)) {
                continue;
            }
            for content_type in response["content"].as_object().unwrap().keys() {
                described.insert((path.clone(), status.clone(), content_type.clone()));
            }
        }
    }
    assert_eq!(described, responses().await);
}

/// The names of the fields that a value has in JSON.
fn written(value: &impl serde::Serialize) -> BTreeSet<String> {
    keys(&serde_json::to_value(value).unwrap(), "")
}

fn client() -> ClientReadiness {
    ClientReadiness {
        client: "c".to_owned(),
        reason: "r".to_owned(),
        since: None,
        until: None,
        audience: "a".to_owned(),
        endpoint: "e".to_owned(),
        commands: Vec::new(),
    }
}

#[test]
fn the_description_has_the_fields_of_readiness() {
    let schemas = &openapi()["components"]["schemas"];
    let least = PartReadiness::default();
    for (name, fields, always) in [
        ("Readiness", fields_of::<Readiness>(), written(&Readiness::of([]))),
        ("PartReadiness", fields_of::<PartReadiness>(), written(&least)),
        ("ClientReadiness", fields_of::<ClientReadiness>(), written(&client())),
    ] {
        let schema = &schemas[name];
        assert_eq!(keys(schema, "/properties"), fields, "{name}");
        assert_eq!(texts(schema, "/required"), always, "{name}");
        assert_eq!(schema["additionalProperties"], Value::Bool(false), "{name}");
    }
    let states = [ReadinessState::Ready, ReadinessState::Waiting, ReadinessState::NotReady];
    assert_eq!(texts(schemas, "/State/enum"), names(states.map(ReadinessState::as_str)));
}
