//! Tokens and secrets never show. The harness searches the output of every process of every test. These tests provoke
//! every way in which a secret could show, at the most verbose level.

use std::io::Write as _;

use crate::harness::{
    Answer, BULK, Call, DEAD, Endpoint, INTERACTIVE, Launch, Message, OUTCOMES, Stage,
    StoredMessage, canary, endpoint::AnswerKind, message::text, token, worker::field,
};

/// Echoes the whole request, head and body, in the rejection's text and in every other part of the answer.
fn echo(call: &Call) -> Answer {
    let sent = format!("{} {}", call.request.head, String::from_utf8_lossy(&call.request.body));
    let in_headers = |status| Answer::Http {
        said: AnswerKind::Nothing,
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

/// A worker that records each job that ends, as an event and in the log, at the most verbose level.
fn recording_all(stage: &Stage, endpoint: &Endpoint) -> Launch {
    let launch = stage.run(endpoint).set("log.level", "trace").set("log.successes", true);
    launch.set("outcomes.queue", OUTCOMES).set("outcomes.token_hash", "full")
}

/// Takes this many outcome events, and searches them for canaries.
async fn assert_events_clean(stage: &Stage, count: u32) {
    for event in stage.amqp.take(OUTCOMES, count).await {
        canary::assert_clean("an outcome event", &event.body);
        canary::assert_clean("its properties", format!("{:?}", event.properties).as_bytes());
    }
}

/// At `log.level = "trace"`, in a build without a cap at compile time: an endpoint that echoes requests, jobs with
/// misplaced secrets, bodies that are no jobs, and dead letters that the broker returns. No output, metric, probe or
/// header of ours holds a token or a secret.
#[tokio::test(flavor = "multi_thread")]
async fn no_canary_shows_at_trace() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(echo).await;
    let worker = recording_all(&stage, &endpoint).ready().await;
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
    assert_events_clean(&stage, 5).await;
    canary::assert_clean("/metrics", metrics.text.as_bytes());
    for path in ["/readyz", "/livez", "/nothing"] {
        canary::assert_clean(path, worker.page(path).await.body.as_bytes());
    }
    worker.stop().await;
}

/// The token and the secret of the jobs below, whole, in each form and cut.
fn forms_of(value: &str) -> Vec<String> {
    let cut =
        [value[..12].to_owned(), value[value.len() - 12..].to_owned(), value[3..15].to_owned()];
    canary::forms(value).into_iter().chain(cut).collect()
}

/// An endpoint that echoes the token and the secret in every encoding, escaped and cut: neither the dead letters nor
/// the log contain one of them, and the rest of the answer is kept.
#[tokio::test(flavor = "multi_thread")]
async fn an_echo_in_any_form_is_redacted() {
    let stage = Stage::new().await;
    let jobs = forms_of(&token(0)).len();
    let endpoint = Endpoint::start(|call| {
        let n: usize = call.token.rsplit('-').next().unwrap().parse().unwrap();
        let (token, secret) = (&forms_of(&call.token)[n], &forms_of(canary::SECRET)[n]);
        Answer::rejected_with(&format!("no such token <{token}> of the client <{secret}>"))
    })
    .await;
    let worker = recording_all(&stage, &endpoint).ready().await;
    stage.amqp.publish_all(BULK, (0..jobs).map(|n| Message::job(&token(n)))).await;

    let letters = stage.amqp.take(DEAD, u32::try_from(jobs).unwrap()).await;
    let metrics = worker.until_processed("dead_lettered", jobs).await;
    assert_events_clean(&stage, u32::try_from(jobs).unwrap()).await;
    assert_eq!(metrics.calls("rejected"), jobs);
    for letter in &letters {
        assert_own_headers_clean(letter);
        let detail = letter.text("x-revoker-detail").unwrap();
        // A character beside an encoded secret may go with it: its code shares bits with it.
        assert!(detail.starts_with("the endpoint answered 01: no such toke"), "{detail}");
        assert_eq!(detail.matches("[redacted]").count(), 2, "{detail}");
        assert!(detail.contains("> of the clien"), "{detail}");
    }
    worker.stop().await;
}

/// A body that is no job, so that the token is unknown. Its producer also wrote the token into the ids.
fn unreadable(n: usize) -> Vec<(&'static str, Vec<u8>)> {
    let job = serde_json::json!({ "refresh_token": token(n) }).to_string();
    let escaped = canary::escaped(&token(n));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(job.as_bytes()).unwrap();
    let filler = "x".repeat(5_000);
    vec![
        (
            "over 64 KiB",
            serde_json::json!({ "refresh_token": token(n), "x": "x".repeat(70_000) })
                .to_string()
                .into(),
        ),
        ("gzip", gzip.finish().unwrap()),
        ("base64", base64_of(&job).into()),
        ("UTF-16", job.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        (
            "behind other fields",
            format!(r#"{{"x":"{filler}","refresh_token":"{}","action":"other"}}"#, token(n)).into(),
        ),
        ("escaped", format!(r#"{{"refresh_token":"{escaped}","action":"other"}}"#).into()),
    ]
}

fn base64_of(text: &str) -> String {
    canary::base64_inside(text.as_bytes(), 0)
}

/// Such a message is shown only by fingerprints, in the log and by every command for dead letters. Its id still finds
/// it.
#[tokio::test(flavor = "multi_thread")]
async fn the_ids_of_messages_without_a_job_are_shown_as_fingerprints() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).set("log.level", "trace").ready().await;
    let bodies = unreadable(1);
    let count = u32::try_from(bodies.len()).unwrap();
    for (_, body) in &bodies {
        let message = Message::new(body.clone())
            .id(&token(1))
            .with(|properties| {
                properties
                    .with_correlation_id(token(1).into())
                    .with_app_id(token(1).into())
                    .with_type(token(1).into())
                    .with_content_encoding(token(1).into())
                    .with_reply_to(token(1).into())
            })
            .header(&token(1), text(&token(1)));
        stage.amqp.publish(BULK, message).await;
    }
    worker.until_processed("dead_lettered", bodies.len()).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 0);
    stage.amqp.until_ready(DEAD, count).await;

    // The harness searches their output.
    let (list, _) = stage.launch("dead-letters").arg("list").arg("--json").run().await;
    let listing: serde_json::Value = serde_json::from_str(&list.stdout()).unwrap();
    let id = listing["letters"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 12, "{id}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters").display().to_string();
    // A body that is no job is left out of an export, and the exit code says so.
    let commands: [(&[&str], i32); 4] = [
        (&["list"], 0),
        (&["show", &id], 0),
        (&["show", &id, "--json"], 0),
        (&["export", &file], 3),
    ];
    for (arguments, code) in commands {
        let launch = stage.launch("dead-letters");
        let launch = arguments.iter().fold(launch, Launch::arg);
        let (command, status) = launch.run().await;
        assert_eq!(status.code(), Some(code), "{arguments:?}: {}", command.stderr());
        assert!(!command.stdout().is_empty(), "{arguments:?}");
    }
    canary::assert_clean("the export", &std::fs::read(&file).unwrap());
    let clear = token(1);
    let (show, status) = stage.launch("dead-letters").arg("show").arg(&clear).run().await;
    assert_eq!(status.code(), Some(0), "{}", show.stderr());
    assert_eq!(show.stdout().matches("invalid_job").count(), bodies.len());
    let replay = stage.launch("dead-letters").arg("replay").arg("--reason").arg("invalid_job");
    let (replay, status) = replay.arg("--id").arg(&clear).run().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}

/// A message id that holds a part of the token, as it is or encoded, is not shown either.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_tells_of_the_token_is_not_shown() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let worker = stage.run(&endpoint).ready().await;
    let ids =
        |token: &str| forms_of(token).into_iter().filter(|id| id.len() < 200).collect::<Vec<_>>();
    let jobs = ids(&token(0)).len();
    for n in 0..jobs {
        let id = &ids(&token(n))[n];
        stage.amqp.publish(BULK, Message::job(&token(n)).id(id)).await;
    }
    worker.until_processed("dead_lettered", jobs).await;
    let lines = worker.log_lines();
    let dead = lines.iter().filter(|line| field(line, "message") == Some("job dead-lettered"));
    let mut seen = 0;
    for line in dead {
        assert_eq!(field(line, "job_id"), field(line, "fingerprint"), "{line}");
        seen += 1;
    }
    assert_eq!(seen, jobs);
    let (list, status) = stage.launch("dead-letters").arg("list").run().await;
    assert_eq!(status.code(), Some(0), "{}", list.stderr());
    worker.stop().await;
}

/// Checks our own headers. The producer's headers are not our responsibility.
fn assert_own_headers_clean(letter: &StoredMessage) {
    for name in letter.header_names().iter().filter(|name| name.starts_with("x-revoker-")) {
        let shown = format!("{:?}", letter.header(name).unwrap());
        canary::assert_clean(name, shown.as_bytes());
        if let Some(lapin::types::AMQPValue::LongString(text)) = letter.header(name) {
            canary::assert_clean(name, text.as_bytes());
        }
    }
}

/// A faulty configuration is reported without the secrets beside the faults.
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
