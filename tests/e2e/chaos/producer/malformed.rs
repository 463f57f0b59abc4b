//! Bodies that are no job.

use super::{BadJob, Class, bad_job::plain};
use crate::{chaos::sized, harness::Message};

/// Bytes of the largest body here.
const HUGE: usize = 10 << 20;
/// Levels of the deepest body here: too long to be parsed at all.
const DEEP: usize = 100_000;
/// Levels that are as many as a body that is parsed can have.
const DEEPEST_PARSED: usize = 30_000;

const fn invalid(fault: &'static str, message: fn(&str) -> Message) -> BadJob {
    BadJob { fault, token: plain, message, class: Class::Invalid }
}

/// An object with the token and this beside it.
fn with_token(token: &str, rest: &str) -> Message {
    Message::new(format!("{{\"refresh_token\":\"{token}\"{rest}}}"))
}

fn nested(levels: usize) -> Vec<u8> {
    [b"{\"refresh_token\":".as_slice(), &b"[".repeat(levels), &b"]".repeat(levels), b"}"].concat()
}

pub const MALFORMED: [BadJob; 8] = [
    invalid("empty body", |_| Message::new("")),
    invalid("NUL bytes", |token| Message::new(format!("\0{token}\0"))),
    invalid("bad UTF-8", |token| {
        let body = [&b"{\"refresh_token\":\""[..], token.as_bytes(), b"\xff\xc3\"}"].concat();
        Message::new(body)
    }),
    invalid("10 MB", |token| {
        let mut message = with_token(token, "");
        message.body.resize(HUGE, b' ');
        message
    }),
    invalid("nesting of 100,000", |_| Message::new(nested(DEEP))),
    invalid("nesting as deep as is parsed", |_| Message::new(nested(DEEPEST_PARSED))),
    invalid("duplicate keys", |token| {
        with_token(token, &format!(",\"refresh_token\":\"{token}\""))
    }),
    invalid("numbers for strings", |token| with_token(token, ",\"username\":7,\"audience\":1e9")),
];

/// One row for each.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn bodies() {
    for bad_job in MALFORMED {
        bad_job.run(sized(10, 50)).await;
    }
}
