//! Bodies with status 200 that are no envelope, or one that says nothing known.

use super::Weather;
use crate::harness::Answer;

/// An envelope with a code that no page documents.
const UNKNOWN_CODE: &str =
    r#"{"action":"revoke","success":true,"revoke":{"meta":{"status":{"code":"02"}}}}"#;

pub const EMPTY: Weather = Weather {
    fault: "empty body with 200",
    answer: |_| Answer::status(200),
    result: "unrecognized",
};
pub const HTML: Weather =
    Weather { fault: "HTML with 200", answer: |_| Answer::html(), result: "unrecognized" };
pub const UNKNOWN: Weather = Weather {
    fault: "unknown code with 200",
    answer: |_| Answer::body("application/json", UNKNOWN_CODE),
    result: "unrecognized",
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn empty_bodies() {
    EMPTY.is_outlasted().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn html() {
    HTML.is_outlasted().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn unknown_codes() {
    UNKNOWN.is_outlasted().await;
}
