//! `revoker check`: what it prints, what it proves, and that it changes nothing.

mod connecting;
mod printing;
mod revoking;
mod rights;

use std::process::ExitStatus;

use serde_json::Value;

use crate::harness::{Endpoint, Launch, Stage, Worker};

/// `check` of a stage and an endpoint, with one delay of retry.
fn check(stage: &Stage, endpoint: &Endpoint) -> Launch {
    stage.launch("check").calling(endpoint)
}

/// The rows of one subject, as state and detail.
fn rows_of(told: &Value, what: &str) -> Vec<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = told["checks"].as_array().unwrap().iter().filter(|row| row["what"] == what);
    rows.map(|row| (text(row, "state"), text(row, "detail"))).collect()
}

/// The detail of the only fault of a subject.
fn fault_of(told: &Value, what: &str) -> String {
    let rows = rows_of(told, what).into_iter();
    let faults: Vec<_> = rows.filter(|(state, _)| state == "FAULT").map(|(_, told)| told).collect();
    assert_eq!(faults.len(), 1, "{what}: {told}");
    faults.into_iter().next().unwrap()
}

/// Runs it with JSON. Its exit code says whether there is a fault.
async fn told(launch: Launch) -> Value {
    let (run, status) = launch.arg("--output").arg("json").run().await;
    read(&run, status)
}

fn read(run: &Worker, status: ExitStatus) -> Value {
    let said = run.stdout();
    let told: Value = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}{}", run.stderr()));
    let code = if told["ok"] == true { 0 } else { 2 };
    assert_eq!(status.code(), Some(code), "{told}");
    told
}
