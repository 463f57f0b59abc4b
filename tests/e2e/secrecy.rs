//! What the worker carries never shows. The harness searches the output of every process of every
//! test; here everything that could make it show is provoked at once, at the most talkative level.

use crate::harness::{
    Answer, BULK, Call, DEAD, Endpoint, INTERACTIVE, Letter, Message, Stage, canary,
    endpoint::Said, message::text, token,
};

/// Answers with all that it was sent, head and body, in the rejection's text and in every other place
/// that an answer has.
fn echo(call: &Call) -> Answer {
    let sent = format!("{} {}", call.request.head, String::from_utf8_lossy(&call.request.body));
    let in_headers = |status| Answer::Http {
        said: Said::Nothing,
        status,
        headers: vec![
            ("x-echo", call.token.clone()),
            ("location", format!("https://example.invalid/?token={}", call.token)),
            ("set-cookie", format!("session={}", canary::SECRET)),
            ("retry-after", call.token.clone()),
        ],
        body: sent.clone().into_bytes(),
    };
    match call.nth {
        1 => in_headers(503),
        2 => in_headers(307),
        3 => in_headers(418),
        4 => in_headers(200),
        _ if call.token.ends_with('1') => {
            Answer::rejected_with(&format!("{} {} {sent}", call.token, canary::SECRET))
        }
        _ => Answer::rejected_with(&call.token),
    }
}

/// At `log.level = "trace"`, in a build without a cap at compile time: an endpoint that echoes what it
/// was sent, jobs that carry secrets where none belong, bodies that are no jobs, and dead letters that
/// the broker returns. No output, metric, probe or header of ours holds a token or a secret.
#[tokio::test(flavor = "multi_thread")]
async fn no_canary_shows_at_trace() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(echo).await;
    let worker = stage.run(&endpoint).set("log.level", "trace").ready().await;
    stage.amqp.delete(DEAD).await;

    let body = serde_json::json!({
        "refresh_token": token(1),
        "client_secret": canary::SECRET,
        "username": "commerce@email.com",
        canary::SECRET: canary::SECRET,
    });
    let job = Message::new(body.to_string())
        .id(&token(1))
        .with(|properties| {
            properties.with_correlation_id(token(1).into()).with_app_id(token(1).into())
        })
        .header("traceparent", text(&token(1)))
        .header("token", text(&token(1)));
    stage.amqp.publish(INTERACTIVE, job).await;
    stage.amqp.publish(BULK, Message::job(&token(2))).await;
    let no_job = format!("{{\"refresh_token\":[\"{}\"]}}", token(4));
    for (body, id) in [(token(3), token(3)), (no_job, token(4))] {
        stage.amqp.publish(BULK, Message::new(body).id(&id)).await;
    }
    let stranger = serde_json::json!({ "refresh_token": token(5), "client_id": token(5) });
    stage.amqp.publish(BULK, Message::new(stranger.to_string())).await;

    let letters = stage.amqp.take(DEAD, 5).await;
    let metrics = worker.until_processed("dead_lettered", 5).await;
    assert!(metrics.publishes("dead_letter", "returned") >= 1, "no message was returned");
    assert_eq!(metrics.calls("rejected"), 2, "the echo of a rejection did not arrive");
    for result in ["http_5xx", "http_3xx", "http_4xx", "unrecognized"] {
        assert_eq!(metrics.calls(result), 2, "{result}");
    }
    assert!(!worker.stderr().is_empty());
    letters.iter().for_each(assert_own_headers_clean);
    canary::assert_clean("/metrics", metrics.text.as_bytes());
    for path in ["/readyz", "/livez", "/nothing"] {
        canary::assert_clean(path, worker.page(path).await.body.as_bytes());
    }
    worker.stop().await;
}

/// The headers that we write. What the producer put into its own is the producer's.
fn assert_own_headers_clean(letter: &Letter) {
    for name in letter.header_names().iter().filter(|name| name.starts_with("x-revoker-")) {
        let shown = format!("{:?}", letter.header(name).unwrap());
        canary::assert_clean(name, shown.as_bytes());
        if let Some(lapin::types::AMQPValue::LongString(text)) = letter.header(name) {
            canary::assert_clean(name, text.as_bytes());
        }
    }
}

/// A broken configuration is reported without the secrets that stand beside the faults.
#[tokio::test(flavor = "multi_thread")]
async fn no_canary_shows_in_a_report_of_faults() {
    let faulty = crate::harness::Launch::bare("run")
        .set("broker.url", format!("amqp://worker:{}@[broken", canary::PASSWORD))
        .set("endpoint.url", format!("https://user:{}@127.0.0.1:no/revoke", canary::SECRET))
        .set("endpoint.proxy", format!("http://user:{}@", canary::SECRET))
        .set("credentials.client_secret", format!("{}\n{}", canary::SECRET, "x".repeat(200)))
        .set("credentials.client_secrets", canary::SECRET)
        .set("retry.jitter", "7");
    let (worker, status) = faulty.run().await;
    assert_eq!(status.code(), Some(2), "{}", worker.stderr());
    for key in ["broker.url", "endpoint.url", "retry.jitter"] {
        assert!(worker.stderr().contains(key), "no {key} in {}", worker.stderr());
    }
}
