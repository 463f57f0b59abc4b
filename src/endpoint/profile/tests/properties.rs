//! Property tests of every file and every answer.

use proptest::prelude::*;

use super::*;
use crate::endpoint::profile::invariants::{hold_answer, hold_file};

/// A built-in file, or one with a line removed, repeated or replaced by a line of another file.
fn near_profile() -> impl Strategy<Value = String> {
    let file = prop::sample::select(BUILTIN.map(|(_, file)| file).to_vec());
    (file.clone(), file, any::<prop::sample::Index>(), 0..4_u8).prop_map(
        |(file, other, at, how)| {
            let mut lines: Vec<&str> = file.lines().collect();
            let others: Vec<&str> = other.lines().collect();
            let (place, taken) = (at.index(lines.len()), others[at.index(others.len())]);
            match how {
                0 => drop(lines.remove(place)),
                1 => lines.insert(place, taken),
                2 => lines[place] = taken,
                _ => {}
            }
            lines.join("\n")
        },
    )
}

fn near_answer() -> impl Strategy<Value = String> {
    let status = prop::sample::select(vec![200_u16, 204, 202, 303, 400, 401, 404, 429, 500]);
    let value = prop::sample::select(vec![
        "\"invalid_token\"",
        "\"invalid_client\"",
        "\"canary-token\"",
        "true",
        "false",
        "0",
        "1",
        "null",
    ]);
    let key = prop::sample::select(vec![
        "error",
        "error_description",
        "ok",
        "revoked",
        "message",
        "invalidated_tokens",
        "error_count",
    ]);
    let fields = prop::collection::vec((key, value), 0..4).prop_map(|fields| {
        let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
        format!("{{{}}}", fields.join(","))
    });
    let body = prop_oneof![fields, Just(String::new()), ".{0,20}"];
    (status, body).prop_map(|(status, body)| format!("{status}\n{body}"))
}

proptest! {
    #[test]
    fn every_file_keeps_to_the_invariants(file in near_profile()) {
        hold_file(file.as_bytes());
    }

    #[test]
    fn no_answer_proves_more_than_a_rule_says(file in near_profile(), answer in near_answer()) {
        hold_answer(format!("{file}\n---\n{answer}").as_bytes());
    }
}
