//! The class of each response that proves nothing.

use super::*;

#[test]
fn a_response_that_proves_nothing_has_the_class_of_what_could_not_be_read() {
    use FailureClass as Is;
    let twice = envelope("true", r#""00""#).replace("\"code\"", "\"code\":\"00\",\"code\"");
    let rows = [
        (200, envelope(r#""True""#, r#""00""#), Is::OddSuccess),
        (200, envelope("1", r#""00""#), Is::OddSuccess),
        (200, envelope("0", r#""01""#), Is::OddSuccess),
        (404, envelope(r#""True""#, r#""01""#), Is::OddSuccess),
        (200, envelope("true", r#""02""#), Is::UnknownCode),
        (200, envelope("false", "1"), Is::UnknownCode),
        (200, envelope("true", "0"), Is::UnknownCode),
        (200, envelope("true", "null"), Is::MissingFields),
        (200, envelope("true", r#""01""#), Is::Contradiction),
        (200, envelope("null", r#""00""#), Is::Contradiction),
        (404, OK.to_owned(), Is::Contradiction),
        (200, OK.replace(r#""revoke","#, r#""grant","#), Is::Contradiction),
        (200, r#"{"success":true}"#.to_owned(), Is::MissingFields),
        (200, r#"{"message":"Forbidden"}"#.to_owned(), Is::MissingFields),
        (403, r#"{"message":"Forbidden"}"#.to_owned(), Is::MissingFields),
        (200, twice, Is::DuplicateKey),
        (200, "[]".to_owned(), Is::NotAnObject),
        (200, String::new(), Is::EmptyBody),
        (403, HTML.to_owned(), Is::Html),
        (502, HTML.to_owned(), Is::Html),
        (500, NO.to_owned(), Is::StatusOnly),
        (429, OK.to_owned(), Is::StatusOnly),
        (503, String::new(), Is::EmptyBody),
        (200, OK[..OK.len() - 1].to_owned(), Is::CutJson),
        (200, OK.replace("true", "True"), Is::NotJson),
    ];
    for (status, body, class) in rows {
        let verdict = verdict_with_class(status, None, ResponseBody::Whole(body.as_bytes()));
        let Verdict::Transient(failure) = verdict else { panic!("{status} {body}: {verdict:?}") };
        assert_eq!(failure.class, class, "{status} {body}");
        assert_eq!(failure.size, Some(body.len()), "{status} {body}");
    }
    let redirect = verdict_with_class(302, None, ResponseBody::Unread);
    let Verdict::Transient(failure) = redirect else { panic!("{redirect:?}") };
    assert_eq!((failure.class, failure.size), (Is::Redirect, None));
}
