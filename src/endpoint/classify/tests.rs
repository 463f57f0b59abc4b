use std::time::Duration;

use http::{HeaderValue, header::RETRY_AFTER};
use proptest::prelude::*;
use secrecy::SecretString;

use super::{
    generators::{near_envelope, shuffled_envelope},
    invariants::{SECRETS, hold, proves},
    *,
};
use crate::endpoint::testing::without_class;

mod classes;

const OK: &str = r#"{"action":"revoke","success":true,"revoke":{"meta":{"status":{"code":"00","message_ilgn":[{"locale":"es_PE","value":"Refresh Token eliminado"}]}}}}"#;
const NO: &str = r#"{"action":"revoke","success":false,"revoke":{"meta":{"status":{"code":"01","message_ilgn":[{"locale":"es_PE","value":"No existe"}]}}}}"#;
const HTML: &str = "<html><body>Bad gateway</body></html>";

fn verdict_on(status: u16, retry_after: Option<&'static str>, body: ResponseBody<'_>) -> Verdict {
    without_class(verdict_with_class(status, retry_after, body))
}

fn verdict_with_class(
    status: u16,
    retry_after: Option<&'static str>,
    body: ResponseBody<'_>,
) -> Verdict {
    let mut headers = HeaderMap::new();
    if let Some(value) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
    }
    let secrets = SECRETS.map(SecretString::from);
    let answer =
        HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers: &headers, body };
    classify(
        &answer,
        &ClassifyContext {
            profile: None,
            locale: "es_PE",
            redactor: Redactor::new(&secrets),
            now: SystemTime::UNIX_EPOCH,
        },
    )
}

fn verdict(status: u16, body: &str) -> Verdict {
    verdict_on(status, None, ResponseBody::Whole(body.as_bytes()))
}

fn transport_failure(label: ResultLabel, ambiguous: bool, status: u16) -> Verdict {
    Verdict::Transient(Failure {
        http_status: Some(status),
        ..Failure::unanswered(label, ambiguous)
    })
}

fn rejected(status: u16, message: Option<&str>) -> Verdict {
    Verdict::Rejected(Rejection {
        code: "01".to_owned(),
        message: message.map(str::to_owned),
        http_status: status,
    })
}

#[test]
fn a_fixed_status_is_a_transport_failure_with_any_body() {
    use ResultLabel::{Http3xx, Http5xx, Http408, Http429};
    let rows = [
        (300, Http3xx, false),
        (301, Http3xx, false),
        (303, Http3xx, true),
        (307, Http3xx, false),
        (399, Http3xx, false),
        (408, Http408, true),
        (429, Http429, false),
        (500, Http5xx, true),
        (503, Http5xx, true),
        (599, Http5xx, true),
    ];
    for (status, label, ambiguous) in rows {
        for body in [OK, HTML, ""] {
            let expected = transport_failure(label, ambiguous, status);
            assert_eq!(verdict(status, body), expected, "{status} {body}");
        }
        assert_eq!(
            verdict_on(status, None, ResponseBody::Unread),
            transport_failure(label, ambiguous, status)
        );
        assert_eq!(
            verdict_on(status, None, ResponseBody::TooLarge),
            transport_failure(label, ambiguous, status)
        );
    }
    for (status, label, ambiguous) in
        [(307, Http3xx, false), (408, Http408, true), (429, Http429, false)]
    {
        assert_eq!(verdict(status, NO), transport_failure(label, ambiguous, status), "{status}");
    }
}

#[test]
fn a_5xx_with_a_rejection_is_the_fault_of_the_job() {
    for status in [500, 503, 599] {
        let Verdict::Transient(failure) = verdict(status, NO) else { panic!("{status}") };
        assert_eq!((failure.label, failure.blame), (ResultLabel::Http5xx, Blame::Job));
        assert!(failure.ambiguous);
    }
    let contradictory = NO.replace("false", "true");
    assert_eq!(verdict(500, &contradictory), transport_failure(ResultLabel::Http5xx, true, 500));
}

#[test]
fn the_endpoints_own_word_decides_at_any_other_status() {
    for status in [101, 200, 201, 299, 400, 401, 403, 404, 409, 422, 499, 600, 999] {
        assert_eq!(verdict(status, NO), rejected(status, Some("No existe")), "{status}");
    }
    for status in [200, 201, 299] {
        assert_eq!(verdict(status, OK), Verdict::Revoked, "{status}");
    }
    // A success outside 2xx contradicts its status.
    for status in [101, 400, 404, 600] {
        assert_eq!(verdict(status, OK), transport_failure(ResultLabel::Unrecognized, true, status));
    }
}

fn envelope(success: &str, code: &str) -> String {
    format!(r#"{{"success":{success},"revoke":{{"meta":{{"status":{{"code":{code}}}}}}}}}"#)
}

#[test]
fn success_and_code_must_agree() {
    enum Is {
        Revoked,
        Rejected,
        Unrecognized,
    }
    let rows = [
        ("true", r#""00""#, Is::Revoked),
        (r#""true""#, r#""00""#, Is::Revoked),
        ("true", r#""\u00300""#, Is::Revoked),
        ("false", r#""01""#, Is::Rejected),
        (r#""false""#, r#""01""#, Is::Rejected),
        ("null", r#""01""#, Is::Rejected),
        ("true", r#""01""#, Is::Unrecognized),
        ("false", r#""00""#, Is::Unrecognized),
        ("null", r#""00""#, Is::Unrecognized),
        ("true", r#""02""#, Is::Unrecognized),
        ("false", r#""02""#, Is::Unrecognized),
        ("true", "null", Is::Unrecognized),
        ("false", "null", Is::Unrecognized),
        ("true", "0", Is::Unrecognized),
        ("false", "1", Is::Unrecognized),
        ("true", r#""0""#, Is::Unrecognized),
        ("true", r#"" 00""#, Is::Unrecognized),
        ("true", r#"["00"]"#, Is::Unrecognized),
        ("true", r#"{"00":"00"}"#, Is::Unrecognized),
        ("1", r#""00""#, Is::Unrecognized),
        (r#""TRUE""#, r#""00""#, Is::Unrecognized),
        (r#""True""#, r#""01""#, Is::Unrecognized),
        (r#""""#, r#""01""#, Is::Unrecognized),
        ("0", r#""01""#, Is::Unrecognized),
        ("[]", r#""01""#, Is::Unrecognized),
        ("{}", r#""01""#, Is::Unrecognized),
    ];
    for (success, code, is) in rows {
        let body = envelope(success, code);
        let at_200 = match is {
            Is::Revoked => Verdict::Revoked,
            Is::Rejected => rejected(200, None),
            Is::Unrecognized => transport_failure(ResultLabel::Unrecognized, true, 200),
        };
        let at_404 = match is {
            Is::Rejected => rejected(404, None),
            Is::Revoked | Is::Unrecognized => {
                transport_failure(ResultLabel::Unrecognized, true, 404)
            }
        };
        assert_eq!(verdict(200, &body), at_200, "{body}");
        assert_eq!(verdict(404, &body), at_404, "{body}");
    }
}

#[test]
fn half_an_envelope_is_still_the_endpoints_and_contradicts_itself() {
    for body in [
        r#"{"success":true}"#,
        r#"{"success":false}"#,
        r#"{"success":7}"#,
        r#"{"revoke":{"meta":{"status":{"code":"00"}}}}"#,
        r#"{"success":true,"revoke":"00"}"#,
        r#"{"success":true,"revoke":[[["00",null]]]}"#,
        r#"{"success":true,"revoke":{"meta":[{"code":"00"}]}}"#,
        r#"{"success":true,"revoke":{"meta":{"status":"00"}}}"#,
        r#"{"action":"grant","success":true,"revoke":{"meta":{"status":{"code":"00"}}}}"#,
        r#"{"action":7,"success":true,"revoke":{"meta":{"status":{"code":"00"}}}}"#,
        r#"{"action":"grant","success":false,"revoke":{"meta":{"status":{"code":"01"}}}}"#,
    ] {
        for status in [200, 404] {
            let expected = transport_failure(ResultLabel::Unrecognized, true, status);
            assert_eq!(verdict(status, body), expected, "{status} {body}");
        }
    }
}

#[test]
fn a_body_that_is_no_envelope_is_unrecognized_in_a_2xx_and_http_4xx_elsewhere() {
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    let deep_revoke = format!(r#"{{"success":true,"revoke":{}"#, r#"{"meta":"#.repeat(10_000));
    let cut = &OK[..OK.len() - 1];
    let trailing = format!("{OK} x");
    let twice = format!("{OK}{OK}");
    for body in [
        "",
        " ",
        HTML,
        "null",
        "true",
        "\"00\"",
        "[]",
        "{}",
        r#"["revoke",true,[[["00",null]]]]"#,
        r#"{"message":"Forbidden"}"#,
        r#"{"action":"revoke"}"#,
        r#"{"success":null}"#,
        r#"{"revoke":{"meta":{"status":{"code":null}}}}"#,
        r#"{"revoke":{"meta":{"status":{}}}}"#,
        r#"{"success":true,"success":true,"revoke":{"meta":{"status":{"code":"00"}}}}"#,
        r#"{"success":true,"revoke":{"meta":{"status":{"code":"00","code":"01"}}}}"#,
        r#"{"success":false,"revoke":{"meta":{"status":{"code":"01"}}},"revoke":{}}"#,
        r#"{"success":true,"revoke":{"meta":{"status":{"code":"00"}}},}"#,
        "\u{feff}",
        "\u{feff}\u{feff}{\"success\":true,\"revoke\":{\"meta\":{\"status\":{\"code\":\"00\"}}}}",
        " \u{feff}{\"success\":true,\"revoke\":{\"meta\":{\"status\":{\"code\":\"00\"}}}}",
        cut,
        &trailing,
        &twice,
        &deep,
        &deep_revoke,
    ] {
        let shown = body.chars().take(80).collect::<String>();
        assert_eq!(
            verdict(200, body),
            transport_failure(ResultLabel::Unrecognized, true, 200),
            "{shown}"
        );
        for status in [101, 400, 403, 404, 600] {
            assert_eq!(
                verdict(status, body),
                transport_failure(ResultLabel::Http4xx, false, status),
                "{status} {shown}"
            );
        }
    }
    let too_large = |status| verdict_on(status, None, ResponseBody::TooLarge);
    assert_eq!(too_large(200), transport_failure(ResultLabel::Unrecognized, true, 200));
    assert_eq!(too_large(404), transport_failure(ResultLabel::Http4xx, false, 404));
}

#[test]
fn a_byte_order_mark_before_an_envelope_is_ignored() {
    let marked = |body: &str| format!("\u{feff}{body}");
    assert_eq!(verdict(200, &marked(OK)), Verdict::Revoked);
    assert_eq!(verdict(404, &marked(NO)), rejected(404, Some("No existe")));
    let Verdict::Transient(failure) = verdict(500, &marked(NO)) else { panic!("5xx") };
    assert_eq!(failure.blame, Blame::Job);
}

#[test]
fn bytes_that_are_no_text_make_no_envelope() {
    let mut body = OK.as_bytes().to_vec();
    let at = OK.find("eliminado").unwrap();
    body[at] = 0xff;
    let verdict = verdict_on(200, None, ResponseBody::Whole(&body));
    assert_eq!(verdict, transport_failure(ResultLabel::Unrecognized, true, 200));
}

#[test]
fn unknown_fields_of_the_endpoint_are_ignored() {
    let body = r#"{"id":1,"id":2,"action":"revoke","success":true,"revoke":{"meta":{"trace":[1],"status":{"code":"00","hint":{"code":"01"}}}}}"#;
    assert_eq!(verdict(200, body), Verdict::Revoked);
}

#[test]
fn a_broken_body_wins_over_its_status_and_keeps_it() {
    for (breakage, label) in
        [(Breakage::Timeout, ResultLabel::Timeout), (Breakage::Reset, ResultLabel::Reset)]
    {
        for status in [200, 307, 404, 408, 500] {
            let verdict = verdict_on(status, None, ResponseBody::Broken(breakage));
            assert_eq!(verdict, transport_failure(label, true, status));
        }
        let Verdict::Transient(failure) =
            verdict_on(429, Some("7"), ResponseBody::Broken(breakage))
        else {
            panic!("{label}")
        };
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
    }
}

#[test]
fn a_wait_is_taken_from_429_and_503_only() {
    for (status, expected) in
        [(429, Some(7)), (503, Some(7)), (500, None), (408, None), (307, None), (404, None)]
    {
        let Verdict::Transient(failure) = verdict_on(status, Some("7"), ResponseBody::Whole(b""))
        else {
            panic!("{status}")
        };
        assert_eq!(failure.retry_after, expected.map(Duration::from_secs), "{status}");
    }
}

#[test]
fn a_rejection_keeps_its_text_without_our_secrets() {
    let message = |json: &str| {
        let body = format!(
            r#"{{"success":false,"revoke":{{"meta":{{"status":{{"code":"01","message_ilgn":{json}}}}}}}}}"#
        );
        verdict(400, &body)
    };
    assert_eq!(
        message(r#"[{"locale":"es_PE","value":"canary-token con canary-secret"}]"#),
        rejected(400, Some("[redacted] con [redacted]"))
    );
    // An invalid text is ignored, and the code beside it still counts.
    for weird in ["7", "[[]]", "{}", "null", r#"{"value":"a","value":"b"}"#] {
        assert_eq!(message(weird), rejected(400, None), "{weird}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_none_revoke(
        status in 100_u16..1000,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert_ne!(verdict_on(status, None, ResponseBody::Whole(&body)), Verdict::Revoked);
    }

    #[test]
    fn revoked_is_said_exactly_with_success_true_and_code_00_in_a_2xx(
        status in prop::sample::select(vec![200_u16, 204, 299, 101, 300, 404, 500]),
        body in near_envelope(),
    ) {
        let expected = proves(&body) && (200..300).contains(&status);
        prop_assert_eq!(verdict(status, &body) == Verdict::Revoked, expected, "{} {}", status, body);
    }

    #[test]
    fn no_disorder_revokes_without_proof(body in shuffled_envelope()) {
        prop_assert!(verdict(200, &body) != Verdict::Revoked || proves(&body), "{}", body);
    }

    #[test]
    fn every_answer_keeps_to_the_invariants(
        status in prop_oneof![
            100_u16..1000,
            prop::sample::select(vec![200_u16, 303, 404, 408, 429, 500, 503]),
        ],
        came in prop::sample::select(vec!["", " unread", " too-large", " timeout", " reset"]),
        retry_after in "[0-9a-zA-Z, :-]{0,30}",
        body in prop_oneof![near_envelope(), shuffled_envelope(), ".{0,60}"],
    ) {
        hold(format!("{status}{came}\nRetry-After: {retry_after}\n\n{body}").as_bytes());
    }
}
