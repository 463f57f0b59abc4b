//! Names what could not be read in a response. Runs only for calls that proved nothing.

use http::{HeaderMap, header::CONTENT_ENCODING};
use serde::de::IgnoredAny;

use super::{
    classify::{Breakage, HttpResponse, ResponseBody},
    http::MAX_ANSWER_BYTES,
};
use crate::domain::{FailureClass, without_mark};

/// The marks of UTF-16 and UTF-32. UTF-32's little-endian mark begins with UTF-16's.
const FOREIGN_MARKS: [&[u8]; 3] = [b"\xfe\xff", b"\xff\xfe", b"\x00\x00\xfe\xff"];

/// The first bytes of gzip.
const GZIP: &[u8] = b"\x1f\x8b";

/// The class of a response, and the size of its body as far as that was read. `StatusOnly` stands for a body that is a
/// JSON object.
#[cold]
pub(super) fn look(answer: &HttpResponse<'_>) -> (FailureClass, Option<usize>) {
    match answer.body {
        ResponseBody::Unread => (FailureClass::Redirect, None),
        ResponseBody::TooLarge => (FailureClass::LongBody, Some(MAX_ANSWER_BYTES)),
        ResponseBody::Broken(Breakage::Timeout) => (FailureClass::SlowBody, None),
        ResponseBody::Broken(Breakage::Reset) => (FailureClass::CutResponse, None),
        ResponseBody::Whole(body) => (of_body(body, answer.headers), Some(body.len())),
    }
}

/// The class of a whole body.
fn of_body(body: &[u8], headers: &HeaderMap) -> FailureClass {
    let unmarked = without_mark(body);
    if body.trim_ascii().is_empty() {
        return FailureClass::EmptyBody;
    }
    let is_marked_again = without_mark(unmarked).len() < unmarked.len();
    let is_alone = unmarked.trim_ascii().is_empty();
    if is_marked_again || is_alone || FOREIGN_MARKS.iter().any(|mark| body.starts_with(mark)) {
        return FailureClass::ByteOrderMark;
    }
    let text = std::str::from_utf8(unmarked).ok();
    let is_object = text.map(|text| (text, serde_json::from_str::<IgnoredAny>(text)));
    match is_object {
        Some((text, Ok(_))) if text.trim_start().starts_with('{') => FailureClass::StatusOnly,
        Some((_, Ok(_))) => FailureClass::NotAnObject,
        _ if is_compressed(body, headers) => FailureClass::CompressedBody,
        None => FailureClass::NotUtf8,
        Some((text, Err(error))) => of_text(text.trim_start(), &error),
    }
}

/// The class of a text that is not JSON.
fn of_text(text: &str, error: &serde_json::Error) -> FailureClass {
    let is_json_so_far = text.starts_with(['{', '[']);
    match text.get(..5).unwrap_or(text).to_ascii_lowercase() {
        _ if is_json_so_far && error.is_eof() => FailureClass::CutJson,
        begin if begin == "<?xml" && !text.to_ascii_lowercase().contains("<html") => {
            FailureClass::Xml
        }
        begin if begin.starts_with('<') => FailureClass::Html,
        _ => FailureClass::NotJson,
    }
}

fn is_compressed(body: &[u8], headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).map(http::HeaderValue::as_bytes);
    body.starts_with(GZIP) || encoding.is_some_and(|of| !of.eq_ignore_ascii_case(b"identity"))
}

/// The class of an object that its reader refused with this error.
pub(super) fn of_refused(error: &serde_json::Error) -> FailureClass {
    if error.is_data() { FailureClass::DuplicateKey } else { FailureClass::NotJson }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};

    use super::*;

    fn class(body: &[u8]) -> FailureClass {
        let answer = HttpResponse {
            status: StatusCode::OK,
            headers: &HeaderMap::new(),
            body: ResponseBody::Whole(body),
        };
        let (class, size) = look(&answer);
        assert_eq!(size, Some(body.len()));
        class
    }

    #[test]
    fn each_body_has_the_class_of_what_cannot_be_read() {
        use FailureClass as Is;
        let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let rows: [(&[u8], FailureClass); 25] = [
            (b"", Is::EmptyBody),
            (b" \r\n", Is::EmptyBody),
            ("\u{feff}".as_bytes(), Is::ByteOrderMark),
            (&utf16, Is::ByteOrderMark),
            (b"\xfe\xff\x00{\x00}", Is::ByteOrderMark),
            (b"\x00\x00\xfe\xff\x00\x00\x00{", Is::ByteOrderMark),
            ("\u{feff}\u{feff}{}".as_bytes(), Is::ByteOrderMark),
            ("\u{feff}<html>".as_bytes(), Is::Html),
            ("\u{feff}{\"message\":\"\"}".as_bytes(), Is::StatusOnly),
            (b"{\"message\":\"Sesi\xf3n\"}", Is::NotUtf8),
            (b"\x1f\x8b\x08\x00", Is::CompressedBody),
            (b"<!DOCTYPE html><p>", Is::Html),
            (b"\n <HTML>", Is::Html),
            (b"<?xml version=\"1.0\"?><html xmlns=\"x\"/>", Is::Html),
            (b"<?xml version=\"1.0\"?><fault/>", Is::Xml),
            (b"{\"success\":true", Is::CutJson),
            (b"[[", Is::CutJson),
            (b"{\"success\":True}", Is::NotJson),
            (b"{} {}", Is::NotJson),
            (b"Service Unavailable", Is::NotJson),
            ("\u{f3}\u{f3}\u{f3}\u{f3}".as_bytes(), Is::NotJson),
            (b"[]", Is::NotAnObject),
            (b"\"00\"", Is::NotAnObject),
            (b"null", Is::NotAnObject),
            (b"{}", Is::StatusOnly),
        ];
        for (body, expected) in rows {
            assert_eq!(class(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_header_that_names_an_encoding_counts_only_for_an_unreadable_body() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
        assert_eq!(of_body(b"\x0b\x02\x80", &headers), FailureClass::CompressedBody);
        assert_eq!(of_body(b"{}", &headers), FailureClass::StatusOnly);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("Identity"));
        assert_eq!(of_body(b"\xf3", &headers), FailureClass::NotUtf8);
    }

    #[test]
    fn a_body_that_was_not_read_whole_has_a_class_of_its_own() {
        for (body, expected) in [
            (ResponseBody::Unread, (FailureClass::Redirect, None)),
            (ResponseBody::TooLarge, (FailureClass::LongBody, Some(MAX_ANSWER_BYTES))),
            (ResponseBody::Broken(Breakage::Timeout), (FailureClass::SlowBody, None)),
            (ResponseBody::Broken(Breakage::Reset), (FailureClass::CutResponse, None)),
        ] {
            let headers = HeaderMap::new();
            assert_eq!(
                look(&HttpResponse { status: StatusCode::OK, headers: &headers, body }),
                expected
            );
        }
    }
}
