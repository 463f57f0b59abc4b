//! Other endpoints than the default one, by their profiles.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::harness::{
    Answer, BULK, Call, DEAD, Endpoint, INTERACTIVE, Launch, Message, Stage, canary, stage::CLIENT,
    token, worker::field,
};

/// `revoker run` against a server by RFC 7009.
fn run(stage: &Stage, endpoint: &Endpoint) -> Launch {
    stage.run(endpoint).unset("endpoint.audience").set("endpoint.profile", "rfc7009")
}

/// Whether a call proves the tests' client, its pair encoded as RFC 6749 says.
fn is_authorized(call: &Call) -> bool {
    let secret = canary::SECRET.replace('+', "%2B").replace('/', "%2F");
    let pair = BASE64_STANDARD.encode(format!("{CLIENT}:{secret}"));
    call.request.header("authorization") == Some(&format!("Basic {pair}"))
}

fn refused() -> Answer {
    Answer::body("application/json", r#"{"error":"invalid_client"}"#).with_status(401)
}

/// A job is one call by RFC 7009. An empty 200 is an acknowledgement and never counts as revoked.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_200_of_an_oauth_server_is_an_acknowledgement() {
    let stage = Stage::new().await;
    let (tell, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let endpoint = Endpoint::start(move |call| {
        let _ = tell.send(call.request.clone());
        if is_authorized(call) { Answer::status(200) } else { refused() }
    })
    .await;
    let worker = run(&stage, &endpoint).ready().await;

    let long = format!("{}-{}", token(1), "x".repeat(4_000));
    stage.amqp.publish(INTERACTIVE, Message::job(&long)).await;
    let request = requests.recv().await.unwrap();
    assert_eq!(request.line(), "POST /revoke HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("alg-api-version"), None);
    let form = request.form();
    assert_eq!(form.get("token"), Some(&long));
    assert_eq!(form.get("token_type_hint").map(String::as_str), Some("refresh_token"));
    assert_eq!(form.len(), 2);

    // The same token again is called again: an acknowledgement does not settle another job.
    worker.until_processed("acknowledged", 1).await;
    stage.amqp.publish(BULK, Message::job(&long)).await;
    let metrics = worker.until_processed("acknowledged", 2).await;
    assert_eq!((metrics.calls("acknowledged"), metrics.processed("revoked")), (2, 0));
    let info = "endpoint_info{profile=\"rfc7009\",proof=\"acknowledged\"}";
    assert_eq!(metrics.value(info), 1);
    stage.host.until_acked(&[INTERACTIVE, BULK]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 2);
    assert_eq!(stage.amqp.after_consumers(DEAD).await, 0);
}

/// A wrong secret pauses its client and dead-letters no job. Once it is right, all jobs end, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_dead_letters_nothing_and_all_jobs_end_once_it_is_right() {
    const JOBS: usize = 200;
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "another secret").unwrap();
    let endpoint =
        Endpoint::start(|call| if is_authorized(call) { Answer::status(200) } else { refused() })
            .await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let worker = run(&stage, &endpoint)
        .unset("credentials.client_secret")
        .set("credentials.client_secret_file", file.display())
        .set("flow.pause.probe_initial", "200ms")
        .set("flow.pause.probe_max", "400ms")
        .ready()
        .await;
    worker.until_log_lines("paused again", 2).await;
    let paused = worker.until_log_lines("client paused", 1).await;
    assert_eq!(field(&paused[0], "client"), Some(CLIENT));
    for path in ["/readyz", "/"] {
        let page = worker.page(path).await;
        assert_eq!(page.status, 200);
        for expected in [CLIENT, "the endpoint refuses the client"] {
            assert!(page.body.contains(expected), "{path}: no {expected} in {}", page.body);
        }
    }
    let metrics = worker.metrics().await;
    assert!(metrics.calls("misconfigured") >= 3);
    assert_eq!((metrics.value("clients_paused"), metrics.processed("dead_lettered")), (1, 0));

    fs::write(folder.path().join("next"), canary::SECRET).unwrap();
    fs::rename(folder.path().join("next"), &file).unwrap();
    worker.signal("HUP");
    worker.until_processed("acknowledged", JOBS).await;
    stage.host.until_acked(&[BULK]).await;
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(DEAD).await, 0);
}

/// The server's answer is kept: a rejection as a dead letter with the server's code, and a missing token by the
/// operator's policy.
#[tokio::test(flavor = "multi_thread")]
async fn rejected_and_gone_keep_the_servers_answer() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| {
        let error = |error: &str| {
            let body = serde_json::json!({ "error": error, "error_description": call.token });
            Answer::body("application/json", body.to_string()).with_status(400)
        };
        if call.token == token(1) { error("invalid_grant") } else { error("invalid_token") }
    })
    .await;
    let worker = run(&stage, &endpoint).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(2))).await;
    worker.until_processed("gone", 1).await;
    let letter = stage.amqp.take(DEAD, 1).await.remove(0);
    assert_eq!(letter.reason(), "rejected");
    assert_eq!(letter.text("x-revoker-code").as_deref(), Some("invalid_grant"));
    let detail = letter.text("x-revoker-detail").unwrap();
    assert_eq!(detail, "the endpoint answered invalid_grant: [redacted]");
    worker.stop().await;

    let worker = run(&stage, &endpoint).set("endpoint.gone", "dead_letter").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(3))).await;
    let letter = stage.amqp.take(DEAD, 1).await.remove(0);
    assert_eq!(letter.reason(), "gone");
    assert_eq!(letter.text("x-revoker-code").as_deref(), Some("invalid_token"));
    worker.stop().await;
}
