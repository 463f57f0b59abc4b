//! Bodies with status 200 that are no envelope, or an envelope with unknown content.

use super::EndpointFault;
use crate::harness::Answer;

/// An envelope with a code that no page documents.
const UNKNOWN_CODE: &str =
    r#"{"action":"revoke","success":true,"revoke":{"meta":{"status":{"code":"02"}}}}"#;

pub const EMPTY: EndpointFault = EndpointFault {
    fault: "empty body with 200",
    answer: |_| Answer::status(200),
    result: "unrecognized",
};
pub const HTML: EndpointFault =
    EndpointFault { fault: "HTML with 200", answer: |_| Answer::html(), result: "unrecognized" };
pub const UNKNOWN: EndpointFault = EndpointFault {
    fault: "unknown code with 200",
    answer: |_| Answer::body("application/json", UNKNOWN_CODE),
    result: "unrecognized",
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn empty_bodies() {
    EMPTY.outlast().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn html() {
    HTML.outlast().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn unknown_codes() {
    UNKNOWN.outlast().await;
}
