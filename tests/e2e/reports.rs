//! Reports and `sweep lookup`: what became of each token, when, and what proves it, after the file is deleted.

mod events;
mod looking_up;
mod signing;

use serde_json::Value;

use crate::harness::{Answer, Endpoint, Worker};

/// Rejects every token whose number ends in 7.
async fn mostly_willing() -> Endpoint {
    Endpoint::start(
        |call| {
            if call.token.ends_with('7') { Answer::rejected() } else { Answer::revoked() }
        },
    )
    .await
}

/// The JSON objects that a command printed, one a line.
fn printed(run: &Worker) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    run.stdout().lines().map(line).collect()
}

fn count(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or_else(|| panic!("{value}"))).unwrap()
}
