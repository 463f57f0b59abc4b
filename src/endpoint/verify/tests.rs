use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string, header, method, path},
};

use super::*;
use crate::endpoint::{AuthMethod, testing};

const URL_OF_NOBODY: &str = "http://127.0.0.1:1/introspect";

fn introspection(url: &str) -> Introspection {
    let mut endpoint = testing::settings(url);
    endpoint.profile = introspection_profile();
    endpoint.auth.method = AuthMethod::Basic;
    let credentials = testing::credentials("watcher", testing::CLIENT_SECRET);
    let settings = VerifySettings {
        endpoint,
        client_id: "watcher".into(),
        credentials: CredentialSettings::default(),
    };
    Introspection::new(&settings, credentials).unwrap()
}

async fn state(answer: ResponseTemplate) -> Result<TokenState, ResultLabel> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/introspect"))
        .and(body_string(format!("token={}", testing::TOKEN)))
        // watcher:canary-secret
        .and(header("authorization", "Basic d2F0Y2hlcjpjYW5hcnktc2VjcmV0"))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    let introspection = introspection(&format!("{}/introspect", server.uri()));
    let state = introspection.state(&testing::job(), None).await;
    state.map_err(|failure| {
        assert!(!failure.ambiguous, "{failure:?}");
        failure.label
    })
}

fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

/// RFC 7662, section 2.2, and the real servers of the end-to-end tests.
#[tokio::test]
async fn only_a_boolean_of_the_endpoint_says_whether_a_token_is_active() {
    use ResultLabel::{Http3xx, Http4xx, Http5xx, Http429, Misconfigured, Unrecognized};
    for (status, body, expected) in [
        (200, r#"{"active":true,"client_id":"shop","exp":1700000000}"#, Ok(TokenState::Active)),
        (200, r#"{"active": false}"#, Ok(TokenState::Inactive)),
        (200, "\u{feff}{\"active\":false}", Ok(TokenState::Inactive)),
        (200, r#"{"active":"true"}"#, Err(Unrecognized)),
        (200, r#"{"active":null}"#, Err(Unrecognized)),
        (200, r#"{"active":1}"#, Err(Unrecognized)),
        (200, r#"{"inactive":true}"#, Err(Unrecognized)),
        (200, r#"[{"active":true}]"#, Err(Unrecognized)),
        (200, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", Err(Unrecognized)),
        (200, "", Err(Unrecognized)),
        (204, "", Err(Unrecognized)),
        (201, r#"{"active":false}"#, Err(Unrecognized)),
        (400, r#"{"active":false}"#, Err(Http4xx)),
        (400, r#"{"error":"invalid_request"}"#, Err(Http4xx)),
        (400, r#"{"error":"invalid_client"}"#, Err(Misconfigured)),
        (401, r#"{"error":"invalid_client"}"#, Err(Misconfigured)),
        (401, r#"{"error":"invalid_token"}"#, Err(Misconfigured)),
        (401, "", Err(Misconfigured)),
        (403, "", Err(Http4xx)),
        (404, "<html>", Err(Http4xx)),
        (302, "", Err(Http3xx)),
        (429, r#"{"active":false}"#, Err(Http429)),
        (503, r#"{"active":false}"#, Err(Http5xx)),
    ] {
        assert_eq!(state(json(status, body)).await, expected, "{status} {body}");
    }
}

/// An answer is read up to the cap, and no further.
#[tokio::test]
async fn an_answer_without_end_says_nothing() {
    let long = format!(r#"{{"active":true,"more":"{}"}}"#, "x".repeat(64 * 1024));
    assert_eq!(state(json(200, &long)).await, Err(ResultLabel::Unrecognized));
}

/// A token without a job is checked in the same way.
#[tokio::test]
async fn a_live_token_of_the_operator_is_asked_for() {
    let server = MockServer::start().await;
    let active = json(200, r#"{"active":true}"#);
    Mock::given(body_string("token=a+token")).respond_with(active).mount(&server).await;
    let introspection = introspection(&server.uri());
    assert_eq!(introspection.state_of("a token".into()).await, Ok(TokenState::Active));
}

#[tokio::test]
async fn an_endpoint_that_is_away_says_nothing() {
    let failure = introspection(URL_OF_NOBODY).state(&testing::job(), None).await.unwrap_err();
    assert_eq!(failure.label, ResultLabel::Connect);
}

#[tokio::test]
async fn without_its_secret_nothing_is_sent() {
    let mut introspection = introspection(URL_OF_NOBODY);
    introspection.client_id = "another".into();
    let failure = introspection.state(&testing::job(), None).await.unwrap_err();
    assert_eq!((failure.label, failure.blame), (ResultLabel::Misconfigured, Blame::Client));
}
