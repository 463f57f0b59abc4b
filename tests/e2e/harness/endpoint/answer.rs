//! The answers of the scripted endpoint.

use std::{io::Write as _, sync::LazyLock, time::Duration};

use crate::harness::Gate;

/// Bytes that [`Answer::gzip_bomb`] unpacks to. Compressed it is within the limit of a client.
pub const GZIP_BOMB: usize = 48 << 20;

/// The meaning of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// `success` true with code `00`.
    Revoked,
    /// Code `01`.
    Rejected,
    /// An answer that proves nothing.
    Nothing,
}

/// The reaction to a call.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An HTTP answer, whole.
    Http {
        /// Its meaning, for the ledger.
        said: AnswerKind,
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// The request is read, then the connection is reset.
    Reset,
    /// The request is read, and no answer follows.
    Never,
    /// The HTTP answer, one byte at a time with this pause between.
    Drip(Duration, Box<Answer>),
    /// A success whose body never ends.
    Endless,
    /// The stream is refused unprocessed: RFC 9113, section 8.7. HTTP/2 only.
    Refuse,
    /// The whole connection is closed with an error, including other streams: section 6.8. HTTP/2 only.
    GoAway,
    /// The answer, once the gate is open.
    After(Gate, Box<Answer>),
}

impl Answer {
    /// The vendor's documented success.
    pub fn revoked() -> Self {
        Self::json(
            AnswerKind::Revoked,
            200,
            r#"{"action":"revoke","success":true,"revoke":{"meta":{"status":{"code":"00","message_ilgn":[{"locale":"es_PE","value":"Refresh Token eliminado"}]}}}}"#,
        )
    }

    /// `01` with a text in the configured locale.
    pub fn rejected() -> Self {
        Self::rejected_with("Refresh Token no existe")
    }

    /// `01` with this text.
    pub fn rejected_with(text: &str) -> Self {
        let body = serde_json::json!({
            "action": "revoke",
            "success": false,
            "revoke": { "meta": { "status": {
                "code": "01",
                "message_ilgn": [{ "locale": "es_PE", "value": text }],
            } } },
        });
        Self::json(AnswerKind::Rejected, 200, &body.to_string())
    }

    /// A status that proves nothing, with an empty body.
    pub fn status(status: u16) -> Self {
        Self::Http { said: AnswerKind::Nothing, status, headers: Vec::new(), body: Vec::new() }
    }

    /// A gateway's page in place of an envelope.
    pub fn html() -> Self {
        let headers = vec![("content-type", "text/html".to_owned())];
        let body =
            b"<!doctype html><title>success</title><p>\"success\":true \"code\":\"00\"".to_vec();
        Self::Http { said: AnswerKind::Nothing, status: 200, headers, body }
    }

    /// 307 to `url`.
    pub fn redirect(url: &str) -> Self {
        let headers = vec![("location", url.to_owned())];
        Self::Http { said: AnswerKind::Nothing, status: 307, headers, body: Vec::new() }
    }

    /// 200 with this body.
    pub fn body(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self::Http { said: AnswerKind::Nothing, status: 200, headers, body: body.into() }
    }

    /// `self`, an HTTP answer, with another status.
    pub fn with_status(mut self, other: u16) -> Self {
        let Self::Http { status, .. } = &mut self else { panic!("{self:?} has no status") };
        *status = other;
        self
    }

    /// `self`, an HTTP answer, with one more header.
    pub fn with_header(mut self, name: &'static str, value: &impl ToString) -> Self {
        let Self::Http { headers, .. } = &mut self else { panic!("{self:?} has no headers") };
        headers.push((name, value.to_string()));
        self
    }

    /// `self`, a byte at a time with `pause` between.
    pub fn dripping(self, pause: Duration) -> Self {
        Self::Drip(pause, Box::new(self))
    }

    /// A compressed success that is too large for memory once decompressed.
    pub fn gzip_bomb() -> Self {
        static PACKED: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            for _ in 0..GZIP_BOMB >> 20 {
                packed.write_all(&[b' '; 1 << 20]).unwrap();
            }
            packed.finish().unwrap()
        });
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("content-encoding", "gzip".to_owned()),
        ];
        Self::Http { said: AnswerKind::Nothing, status: 200, headers, body: PACKED.clone() }
    }

    /// `self`, once `gate` is open.
    pub fn after(self, gate: &Gate) -> Self {
        Self::After(gate.clone(), Box::new(self))
    }

    fn json(said: AnswerKind, status: u16, body: &str) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self::Http { said, status, headers, body: body.as_bytes().to_vec() }
    }
}
