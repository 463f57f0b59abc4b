//! `--with-token`: a call like a worker's, with a token of no further use.

use std::fs;

use super::{check, fault_of, rows_of, told};
use crate::harness::{Answer, AnswerKind, Endpoint, Launch, Stage, canary, token};

/// Secret, path and answer are proved by one call, or the fault names what is wrong. No output shows the token: the
/// harness searches for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_throw_away_token_proves_secret_path_and_answer() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, token(1) + "\n").unwrap();
    let endpoint = Endpoint::start(|call| {
        let body = call.request.json();
        if call.token == token(1) && body["client_secret"] == canary::SECRET {
            Answer::revoked()
        } else {
            Answer::rejected_with("unknown client")
        }
    })
    .await;
    let with_token = |endpoint: &Endpoint| -> Launch {
        check(&stage, endpoint).arg("--with-token").arg(file.display())
    };
    let said = told(with_token(&endpoint)).await;
    let rows = rows_of(&said, "revocation");
    assert_eq!(rows[0].0, "ok", "{said}");
    assert!(rows[0].1.starts_with("revoked: "), "{said}");
    assert_eq!(endpoint.count(), 1, "exactly one call is made");

    let wrong = with_token(&endpoint).set("credentials.client_secret", "another");
    let fault = fault_of(&told(wrong).await, "revocation");
    assert!(fault.starts_with("rejected: HTTP status 200, code 01, \"unknown client\""), "{fault}");
    assert_eq!(endpoint.count(), 2);

    for (answer, words) in [
        (Answer::status(404), "http_4xx: HTTP status 404: not the endpoint's own answer"),
        (Answer::status(302), "http_3xx: HTTP status 302: the server redirects"),
        (Answer::status(503), "http_5xx: HTTP status 503: the server cannot answer now"),
        (Answer::status(200), "unrecognized: HTTP status 200: the answer has not the form"),
    ] {
        let endpoint = Endpoint::start(move |_| answer.clone()).await;
        let fault = fault_of(&told(with_token(&endpoint)).await, "revocation");
        assert!(fault.starts_with(words), "{fault}");
        assert_eq!(endpoint.count(), 1, "no call is repeated");
    }
}

/// Without a client or without a token no call is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_throw_away_token_without_a_client_is_not_sent() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, token(1)).unwrap();
    let launch = check(&stage, &endpoint).arg("--with-token").arg(file.display());
    let stranger = launch.clone().arg("--client-id").arg("stranger");
    let fault = fault_of(&told(stranger).await, "revocation");
    assert!(fault.contains("no call was made") && fault.contains("--client-id"), "{fault}");
    fs::write(&file, "\n").unwrap();
    let fault = fault_of(&told(launch).await, "revocation");
    assert!(fault.contains("the token's file is empty"), "{fault}");
    assert_eq!(endpoint.count(), 0);
}

/// With an introspection endpoint, the token is active before the call and inactive after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_throw_away_token_proves_introspection_too() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, token(1)).unwrap();
    let introspection = Endpoint::start(|call| {
        let body = if call.nth == 1 { r#"{"active":true}"# } else { r#"{"active":false}"# };
        Answer::Http {
            said: AnswerKind::Nothing,
            status: 200,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.into(),
        }
    })
    .await;
    let launch = check(&stage, &endpoint)
        .arg("--with-token")
        .arg(file.display())
        .set("verify.url", introspection.url())
        .set("verify.auth.client_id", "watcher")
        .set("verify.auth.client_secret", canary::SECRET);
    let said = told(launch).await;
    assert_eq!(said["ok"], true, "{said}");
    let rows = rows_of(&said, "introspection");
    let found = |words: &str| rows.iter().any(|(state, told)| state == "ok" && told == words);
    assert!(found("calls the live token active"), "{rows:?}");
    assert!(found("calls the revoked token inactive"), "{rows:?}");
    assert_eq!((endpoint.count(), introspection.count()), (1, 2));
}
