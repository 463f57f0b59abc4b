//! The classes of calls that prove nothing, as a raw server causes them.

use super::*;

/// The class of a call to a raw server that writes `answer` and hangs up.
async fn class_of(answer: &[u8]) -> (FailureClass, Option<u16>) {
    let server = answering(answer).await;
    let verdict = endpoint(&settings(&server.url())).revoke(&job(), None).await.unwrap();
    let Verdict::Transient(failure) = verdict else { panic!("{verdict:?}") };
    (failure.class, failure.http_status)
}

/// curl accepts each of these header lines.
#[tokio::test]
async fn a_header_line_that_cannot_be_read_is_named() {
    for line in ["Bad Header: x", "X-Name : x", "no colon", "X-A: a\r\n folded", "X-Nul: a\0b"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{line}\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(
            class_of(answer.as_bytes()).await,
            (FailureClass::BadHeaderLine, None),
            "{line}"
        );
    }
    let lengths = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(class_of(lengths.as_bytes()).await, (FailureClass::BadHeaderLine, None));
}

#[tokio::test]
async fn a_response_that_is_not_http_or_breaks_off_is_named() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    for (answer, class, status) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", FailureClass::NotHttp, None),
        ("\x15\x03\x01\x00\x02\x02\x46", FailureClass::NotHttp, None),
        (&long, FailureClass::LongHeader, None),
        ("", FailureClass::ConnectionLost, None),
        ("HTTP/1.1 200 OK\r\nconte", FailureClass::ConnectionLost, None),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", FailureClass::CutResponse, Some(200)),
    ] {
        let shown: String = answer.chars().take(30).collect();
        assert_eq!(class_of(answer.as_bytes()).await, (class, status), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_reached_is_told_apart_by_the_cause() {
    let class = async |url: Url| {
        let mut settings = settings("http://127.0.0.1:1/");
        settings.url = url;
        let verdict = endpoint(&settings).revoke(&job(), None).await.unwrap();
        let Verdict::Transient(failure) = verdict else { panic!("{verdict:?}") };
        assert_eq!((failure.label, failure.class.is_answered()), (ResultLabel::Connect, false));
        failure.class
    };
    assert_eq!(class(deserted().await).await, FailureClass::ConnectionRefused);
    let nowhere = "http://nowhere.invalid/".parse().unwrap();
    assert_eq!(class(nowhere).await, FailureClass::NoAddress);
}
