//! Generators of valid and almost valid envelopes of the default profile.

use proptest::prelude::*;

/// An envelope whose fields are all valid, or with one or more invalid ones, sometimes behind a byte order mark.
pub(in crate::endpoint) fn near_envelope() -> impl Strategy<Value = String> {
    let mostly = |right: &'static str| {
        prop_oneof![
            3 => Just(right),
            1 => prop::sample::select(vec!["true", "\"true\"", "false", "null", "\"01\"", "\"True\"", "1", "0", "[]"]),
        ]
    };
    let mark =
        prop_oneof![4 => Just(""), 1 => prop::sample::select(vec!["\u{feff}", "\u{feff}\u{feff}"])];
    let fields = (mostly("\"revoke\""), mostly("true"), mostly("\"00\""));
    (mark, fields).prop_map(|(mark, (action, success, code))| {
        format!(
            r#"{mark}{{"action":{action},"success":{success},"revoke":{{"meta":{{"status":{{"code":{code}}}}}}}}}"#
        )
    })
}

/// Objects of the envelope's keys, in any order, number and depth.
pub(in crate::endpoint) fn shuffled_envelope() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["action", "success", "revoke", "meta", "status", "code"]);
    let leaf =
        prop::sample::select(vec!["true", "null", "\"00\"", "\"01\"", "\"revoke\"", "0", "{"]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 4, move |inner| {
        prop::collection::vec((key.clone(), inner), 0..4).prop_map(|fields| {
            let fields: Vec<_> =
                fields.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
            format!("{{{}}}", fields.join(","))
        })
    })
}
