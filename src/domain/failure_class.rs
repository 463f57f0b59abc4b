//! What was wrong with a call that proved nothing, as one of a fixed list.
//!
//! The list bounds the log: it has one line a minute for each kind of failure, whatever the answers hold. A class never
//! repeats a part of an answer.

use super::{named::named, verdict::ResultLabel};

named! {
    /// What was wrong with a call that proved nothing.
    pub enum FailureClass {
        /// Its host name has no address.
        NoAddress = "no_address",
        /// The peer refused the connection.
        ConnectionRefused = "connection_refused",
        /// There was no connection within `endpoint.connect_timeout`.
        ConnectTimeout = "connect_timeout",
        /// The proxy does not connect to it.
        NoProxy = "no_proxy",
        /// Any other failure to connect, such as a missing route.
        NoConnection = "no_connection",
        /// Its certificate is not trusted, has expired, or is for another name.
        Certificate = "certificate",
        /// The TLS handshake failed otherwise.
        TlsHandshake = "tls_handshake",
        /// No whole response came within `endpoint.timeout`.
        NoAnswerInTime = "no_answer_in_time",
        /// The connection was lost before a response came.
        ConnectionLost = "connection_lost",
        /// The worker could not build the request.
        NotSent = "not_sent",
        /// A header line is not valid HTTP. curl and browsers accept some of these.
        BadHeaderLine = "bad_header_line",
        /// The headers are longer than the HTTP client reads.
        LongHeader = "long_header",
        /// The response does not begin as HTTP does.
        NotHttp = "not_http",
        /// The response broke off.
        CutResponse = "cut_response",
        /// The response took too long after its headers.
        SlowBody = "slow_body",
        /// The body is longer than the worker reads.
        LongBody = "long_body",
        /// A redirect, which is never read.
        Redirect = "redirect",
        /// No body, or only white space.
        EmptyBody = "empty_body",
        /// A byte order mark of UTF-16 or UTF-32, two marks, or one and nothing else.
        ByteOrderMark = "byte_order_mark",
        /// The body is compressed, although the request does not allow that.
        CompressedBody = "compressed_body",
        /// A byte that is not UTF-8, for example a Latin-1 letter.
        NotUtf8 = "not_utf8",
        /// An HTML page.
        Html = "html",
        /// An XML document.
        Xml = "xml",
        /// JSON that ends too early.
        CutJson = "cut_json",
        /// Other text.
        NotJson = "not_json",
        /// JSON, but no object: a list, a string, a number.
        NotAnObject = "not_an_object",
        /// An object in which a key occurs twice.
        DuplicateKey = "duplicate_key",
        /// An object without the fields that the answer is judged by.
        MissingFields = "missing_fields",
        /// `success` is neither true nor false: `"True"`, `1`, `0`.
        OddSuccess = "odd_success",
        /// A code that the endpoint's documentation does not have.
        UnknownCode = "unknown_code",
        /// `success`, code, action or HTTP status contradict each other.
        Contradiction = "contradiction",
        /// An object that no rule of the profile matches.
        NoRule = "no_rule",
        /// A rule of the profile says that the answer proves nothing.
        Inconclusive = "inconclusive",
        /// A sound answer whose HTTP status makes it a failure.
        StatusOnly = "status_only",
        /// The endpoint refuses the client's secret or rights.
        ClientRefused = "client_refused",
    }
}

impl FailureClass {
    /// Whether the peer answered. Otherwise nothing came that could be read.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        !matches!(
            self,
            Self::NoAddress
                | Self::ConnectionRefused
                | Self::ConnectTimeout
                | Self::NoProxy
                | Self::NoConnection
                | Self::Certificate
                | Self::TlsHandshake
                | Self::NoAnswerInTime
                | Self::ConnectionLost
                | Self::NotSent
        )
    }

    /// The class that a result has by itself, without a closer look.
    pub(super) const fn of_label(label: ResultLabel) -> Self {
        match label {
            ResultLabel::Connect => Self::NoConnection,
            ResultLabel::Tls => Self::TlsHandshake,
            ResultLabel::Timeout => Self::NoAnswerInTime,
            ResultLabel::Reset => Self::ConnectionLost,
            ResultLabel::Http3xx => Self::Redirect,
            ResultLabel::Misconfigured => Self::ClientRefused,
            ResultLabel::Unrecognized => Self::MissingFields,
            _ => Self::StatusOnly,
        }
    }

    /// What it means, for a person: the end of "the endpoint does not answer: ..." or of "HTTP status 200, ...".
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NoAddress => "its host name has no address",
            Self::ConnectionRefused => "the connection is refused",
            Self::ConnectTimeout => "no connection in time",
            Self::NoProxy => "the proxy does not connect to it",
            Self::NoConnection => "no connection",
            Self::Certificate => {
                "its TLS certificate is not trusted, not valid now, or for another name"
            }
            Self::TlsHandshake => "the TLS handshake fails",
            Self::NoAnswerInTime => "no response in time",
            Self::ConnectionLost => "the connection breaks before a response",
            Self::NotSent => "the worker cannot build the request",
            Self::BadHeaderLine => "a header line that is not valid HTTP (curl may accept it)",
            Self::LongHeader => "headers that are too long",
            Self::NotHttp => "a response that is not HTTP",
            Self::CutResponse => "a response that breaks off",
            Self::SlowBody => "a body that does not end in time",
            Self::LongBody => "a body that is too long",
            Self::Redirect => "a redirect, which is never followed",
            Self::EmptyBody => "an empty body",
            Self::ByteOrderMark => "a byte order mark that is alone, twice, or not UTF-8's",
            Self::CompressedBody => "a compressed body, which was not asked for",
            Self::NotUtf8 => "a body that is not UTF-8 (a Latin-1 letter?)",
            Self::Html => "an HTML page",
            Self::Xml => "an XML document",
            Self::CutJson => "JSON that ends too early",
            Self::NotJson => "a text that is not JSON",
            Self::NotAnObject => "JSON that is not an object",
            Self::DuplicateKey => "JSON with a key that occurs twice",
            Self::MissingFields => "JSON without the expected fields",
            Self::OddSuccess => "a `success` that is neither true nor false (\"True\", 1 or 0?)",
            Self::UnknownCode => "an unknown code",
            Self::Contradiction => "fields that contradict each other or the status",
            Self::NoRule => "JSON that no rule of the profile matches",
            Self::Inconclusive => "an answer that proves nothing, by a rule of the profile",
            Self::StatusOnly => "a readable body",
            Self::ClientRefused => "the client is refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_every_class() {
        let page = include_str!("../../docs/jobs.md");
        let section = page.split("### Why a call proved nothing").nth(1).unwrap();
        for class in FailureClass::ALL {
            assert!(section.contains(&format!("`{class}`")), "{class} is missing");
        }
    }
}
