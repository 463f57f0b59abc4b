//! Tests of sweeps of realistic files: lines, records, calls and the report agree.

mod lines;
mod outputs;
mod packed;
mod records;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Worker, token};

/// Tokens `1..=lines` as the rows of a CSV file, each row behind `end`.
fn rows(lines: usize, end: impl Fn(usize) -> &'static str) -> String {
    let rows = (1..=lines).map(|line| format!("{}{},x", end(line), token(line)));
    format!("refresh_token,note{}", rows.collect::<String>())
}

/// The JSON output of a run.
fn printed(run: &Worker) -> Value {
    serde_json::from_str(&run.stdout())
        .unwrap_or_else(|error| panic!("{error} in {:?}; {}", run.stdout(), run.stderr()))
}

fn tokens(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(token).collect()
}
