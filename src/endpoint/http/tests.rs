use std::{sync::Mutex, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::*;
use crate::{
    domain::{ClientKey, FailureClass, JobDefaults, Rejection},
    endpoint::testing::{
        CLIENT_ID, CLIENT_SECRET, Server, TOKEN, credentials, endpoint, job, read_request,
        settings, success, without_class,
    },
};

mod classes;
mod tls;

async fn call(endpoint: &HttpEndpoint) -> Verdict {
    without_class(endpoint.revoke(&job(), None).await.unwrap())
}

/// A raw server that reads the request, writes `answer` and hangs up.
async fn answering(answer: impl Into<Vec<u8>>) -> Server {
    let answer: Arc<[u8]> = answer.into().into();
    Server::start(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            read_request(&mut stream).await.unwrap();
            // The client may hang up first, having read enough.
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

/// The verdict on such a server.
async fn answered(answer: impl Into<Vec<u8>>) -> Verdict {
    let server = answering(answer).await;
    let verdict = call(&endpoint(&settings(&server.url()))).await;
    assert_eq!(server.connections(), 1);
    verdict
}

fn transport_failure(label: ResultLabel, ambiguous: bool, http_status: Option<u16>) -> Verdict {
    Verdict::Transient(Failure { http_status, ..Failure::unanswered(label, ambiguous) })
}

/// An address on which no server listens.
async fn deserted() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/revoke", listener.local_addr().unwrap()).parse().unwrap()
}

#[tokio::test]
async fn the_request_is_the_vendors_sample_byte_for_byte() {
    const SAMPLE: &str = r#"{"action":"revoke","username":"commerce@email.com","refresh_token":" OqLWq5BoSm3ZHbfaY_D3J_XuKB1TOdrHl7Ui_0sdLF1","audience":"https://api.dev.alignet.io","client_id":"yhaPE3jtHXHMKUZBBFr9QS1x1FaXxr","client_secret":"uTCetT3d4T-1NgXyTO66C0850xLJ5c7CwoyXm23NALxZ-MbwQxkqs1Q9ThwWfE"}"#;
    let (seen, mut requests) = mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await.unwrap()).await.unwrap();
            stream.write_all(success().as_bytes()).await.unwrap();
        }
    })
    .await;
    let job = Job::parse(SAMPLE.as_bytes(), &JobDefaults::default()).unwrap();
    let credentials = credentials(
        "yhaPE3jtHXHMKUZBBFr9QS1x1FaXxr",
        "uTCetT3d4T-1NgXyTO66C0850xLJ5c7CwoyXm23NALxZ-MbwQxkqs1Q9ThwWfE",
    );
    let endpoint = HttpEndpoint::new(&settings(&server.url()), credentials).unwrap();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let verdict =
        endpoint.revoke(&job, TraceContext::parse(trace, Some("vendor=1")).as_ref()).await;
    assert_eq!(verdict, Ok(Verdict::Revoked));

    let (head, body) = requests.recv().await.unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), SAMPLE);
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "POST /revoke HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept: */*".to_owned(),
            "alg-api-version: 1618440906".to_owned(),
            format!("content-length: {}", SAMPLE.len()),
            "content-type: application/json".to_owned(),
            format!("host: {}", server.addr),
            format!("traceparent: {trace}"),
            "tracestate: vendor=1".to_owned(),
            format!("user-agent: revoker/{}", env!("CARGO_PKG_VERSION")),
        ]
    );
}

#[tokio::test]
async fn escaped_values_arrive_unchanged_and_a_missing_username_is_left_out() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).mount(&server).await;
    let body = r#"{"refresh_token":"a\"b\\\u0000ñ\n ","client_id":"shop"}"#;
    let job = Job::parse(body.as_bytes(), &JobDefaults::default()).unwrap();
    endpoint(&settings(&server.uri())).revoke(&job, None).await.unwrap();
    let sent: serde_json::Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(
        sent,
        serde_json::json!({
            "action": "revoke",
            "refresh_token": "a\"b\\\0ñ\n ",
            "audience": "",
            "client_id": "shop",
            "client_secret": CLIENT_SECRET,
        })
    );
}

#[tokio::test]
async fn a_client_without_a_secret_is_not_called_for() {
    let endpoint = endpoint(&settings(deserted().await.as_str()));
    let of = |body: &str| Job::parse(body.as_bytes(), &JobDefaults::default()).unwrap();
    let stranger = of(r#"{"refresh_token":"t","client_id":"stranger"}"#);
    let nobody = of(r#"{"refresh_token":"t"}"#);
    assert_eq!(endpoint.admit(&job()), Ok(ClientKey(0)));
    assert_eq!(endpoint.admit(&stranger), Err(UnknownClient::NoSecret));
    assert_eq!(endpoint.admit(&nobody), Err(UnknownClient::NotNamed));
    assert_eq!(endpoint.revoke(&stranger, None).await, Err(UnknownClient::NoSecret));
}

#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let verdict = call(&endpoint(&settings(deserted().await.as_str()))).await;
    assert_eq!(verdict, transport_failure(ResultLabel::Connect, false, None));
}

#[tokio::test]
async fn an_unknown_host_was_not_sent() {
    // RFC 6761 keeps the name from ever being resolved.
    let verdict = call(&endpoint(&settings("http://revoker.invalid/revoke"))).await;
    assert_eq!(verdict, transport_failure(ResultLabel::Connect, false, None));
}

#[tokio::test]
async fn no_answer_in_time_is_ambiguous() {
    let (seen, mut requests) = mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await.unwrap()).await.unwrap();
            // Hangs until the client gives up.
            let _ = stream.read_u8().await;
        }
    })
    .await;
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(200);
    let verdict = call(&endpoint(&settings)).await;
    assert_eq!(verdict, transport_failure(ResultLabel::Timeout, true, None));
    assert!(requests.recv().await.is_some());
}

#[tokio::test]
async fn a_body_that_stalls_is_a_time_out_that_keeps_its_status() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\n{")
            .await
            .unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(200);
    let Verdict::Transient(failure) = call(&endpoint(&settings)).await else {
        panic!("transport_failure")
    };
    assert_eq!((failure.label, failure.ambiguous), (ResultLabel::Timeout, true));
    assert_eq!(failure.http_status, Some(429));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_reset_after_the_request_is_ambiguous() {
    let server = Server::start(|mut stream: TcpStream| async move {
        read_request(&mut stream).await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    let verdict = call(&endpoint(&settings(&server.url()))).await;
    assert_eq!(verdict, transport_failure(ResultLabel::Reset, true, None));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn answers_that_lie_or_break_off_prove_nothing() {
    let reset = |status| transport_failure(ResultLabel::Reset, true, status);
    let unrecognized = transport_failure(ResultLabel::Unrecognized, true, Some(200));
    let whole = success();
    let cases = [
        ("", reset(None)),
        ("HTTP/1.1 200 OK\r\nconte", reset(None)),
        ("SSH-2.0-OpenSSH_9.6\r\n", reset(None)),
        (&whole[..whole.len() - 1], reset(Some(200))),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"suc", reset(Some(200))),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", reset(Some(200))),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", unrecognized.clone()),
        (
            "HTTP/1.1 204 No Content\r\n\r\n",
            transport_failure(ResultLabel::Unrecognized, true, Some(204)),
        ),
        ("HTTP/1.1 200 OK\r\n\r\n<html>", unrecognized),
    ];
    for (answer, expected) in cases {
        assert_eq!(answered(answer).await, expected, "{answer}");
    }
}

#[tokio::test]
async fn a_compressed_success_is_not_unpacked() {
    // The answer of `testing::success`, compressed with gzip.
    const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xabVJL.\xc9\xcc\xcfS\xb2R*J-\xcb\xcfNU\xd2Q*.MNN-.V\xb2*)*M\xd5\x81\x89[U+\xe5\xa6\x96$\x82\xe8\xe2\x92\xc4\x92\xd2b\x10+9?\x05(\xa3d`\xa0T\x0b\x04\x00\xc7\xd0\xbbnM\x00\x00\x00";
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\r\n";
    let verdict = answered([head.as_bytes(), GZIP].concat()).await;
    assert_eq!(verdict, transport_failure(ResultLabel::Unrecognized, true, Some(200)));
}

#[tokio::test]
async fn a_body_without_end_is_read_up_to_the_cap_only() {
    const CHUNK: usize = 1024;
    // The most bytes that the buffers of both sockets can hold.
    const BUFFERS: usize = 16 * 1024 * 1024;
    let (written, mut total) = mpsc::channel(1);
    let server = Server::start(move |mut stream| {
        let written = written.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut sent = 0;
            while stream.write_all(&[b' '; CHUNK]).await.is_ok() {
                sent += CHUNK;
            }
            written.send(sent).await.unwrap();
        }
    })
    .await;
    let verdict = call(&endpoint(&settings(&server.url()))).await;
    assert_eq!(verdict, transport_failure(ResultLabel::Unrecognized, true, Some(200)));
    let sent = total.recv().await.unwrap();
    assert!((MAX_ANSWER_BYTES..MAX_ANSWER_BYTES + BUFFERS).contains(&sent), "{sent}");
}

#[tokio::test]
async fn the_cap_is_exact() {
    for (length, expected) in [(MAX_ANSWER_BYTES, true), (MAX_ANSWER_BYTES + 1, false)] {
        let body = r#"{"success":true,"revoke":{"meta":{"status":{"code":"00"}}}}"#;
        let padded = format!("{body}{}", " ".repeat(length - body.len()));
        let verdict = answered(format!("HTTP/1.1 200 OK\r\n\r\n{padded}")).await;
        assert_eq!(verdict == Verdict::Revoked, expected, "{length}");
    }
}

#[tokio::test]
async fn a_redirect_is_neither_followed_nor_read() {
    let elsewhere = Server::start(|_| async {}).await;
    for status in [301, 302, 303, 307, 308] {
        // The body never ends, so reading it would end in a time-out.
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {}\r\ncontent-length: 9\r\n\r\n{{",
            elsewhere.url()
        );
        let verdict = answered(answer).await;
        assert_eq!(verdict, transport_failure(ResultLabel::Http3xx, status == 303, Some(status)));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_echo_of_the_request_is_redacted() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(|request: &wiremock::Request| {
            let sent = String::from_utf8(request.body.clone()).unwrap();
            ResponseTemplate::new(400).set_body_json(serde_json::json!({
                "success": false,
                "revoke": {"meta": {"status": {"code": "01", "message_ilgn":
                    {"value": format!("token {TOKEN} with {CLIENT_SECRET} in {sent}")}}}},
            }))
        })
        .mount(&server)
        .await;
    let verdict = call(&endpoint(&settings(&server.uri()))).await;
    let shown = format!("{verdict:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains(CLIENT_SECRET), "{shown}");
    let Verdict::Rejected(Rejection { code, message, http_status }) = verdict else {
        panic!("{shown}")
    };
    assert_eq!((code.as_str(), http_status), ("01", 400));
    assert!(message.unwrap().starts_with("token [redacted] with [redacted] in {"));
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start(|mut stream| async move {
        while read_request(&mut stream).await.is_ok() {
            stream.write_all(success().as_bytes()).await.unwrap();
        }
    })
    .await;
    let endpoint = endpoint(&settings(&server.url()));
    for _ in 0..5 {
        assert_eq!(call(&endpoint).await, Verdict::Revoked);
    }
    assert_eq!(server.connections(), 1);
}

/// The server hangs up on a pooled connection with its second request in flight.
#[tokio::test]
async fn a_stale_connection_makes_no_hidden_second_call() {
    let requests: Arc<Mutex<usize>> = Arc::default();
    let count = Arc::clone(&requests);
    let server = Server::start(move |mut stream: TcpStream| {
        let count = Arc::clone(&count);
        async move {
            read_request(&mut stream).await.unwrap();
            *count.lock().unwrap() += 1;
            stream.write_all(success().as_bytes()).await.unwrap();
            if read_request(&mut stream).await.is_ok() {
                *count.lock().unwrap() += 1;
                stream.set_zero_linger().unwrap();
            }
        }
    })
    .await;
    let endpoint = endpoint(&settings(&server.url()));
    assert_eq!(call(&endpoint).await, Verdict::Revoked);
    assert_eq!(call(&endpoint).await, transport_failure(ResultLabel::Reset, true, None));
    assert_eq!((*requests.lock().unwrap(), server.connections()), (2, 1));
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    let endpoint = endpoint(&settings("http://user:hunter2@127.0.0.1:1/revoke"));
    let shown = format!("{endpoint:?}");
    assert!(!shown.contains("hunter2") && !shown.contains(CLIENT_ID), "{shown}");
}

#[tokio::test]
async fn a_proxy_is_used_where_one_is_set() {
    let (seen, mut requests) = mpsc::channel(1);
    let proxy = Server::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await.unwrap().0).await.unwrap();
            stream.write_all(success().as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut settings = settings(deserted().await.as_str());
    settings.proxy = Some(format!("http://u:p@{}", proxy.addr).into());
    assert_eq!(call(&endpoint(&settings)).await, Verdict::Revoked);
    let head = requests.recv().await.unwrap();
    assert!(head.starts_with(&format!("POST {} HTTP/1.1", settings.url)), "{head}");
    assert!(head.contains("proxy-authorization: Basic dTpw"), "{head}");
}
