//! Tests of the requests of a profile.

use super::*;

fn values() -> CallValues<'static> {
    CallValues {
        token: "t&1=\"ñ",
        client_id: Some("shop/../x"),
        audience: Some("a"),
        token_type_hint: Some("refresh_token"),
        ..CallValues::default()
    }
}

fn body(name: &str, of_auth: &[(&str, &str)]) -> String {
    let profile = builtin(name).unwrap();
    String::from_utf8(profile.request.body(&values(), of_auth).unwrap()).unwrap()
}

#[test]
fn a_value_cannot_leave_its_field() {
    assert_eq!(body("rfc7009", &[]), "token=t%261%3D%22%C3%B1&token_type_hint=refresh_token");
    assert_eq!(body("github-app-token", &[]), r#"{"access_token":"t&1=\"ñ"}"#);
    assert_eq!(body("slack", &[]), "");
    let with_auth = body("rfc7009", &[("client_id", "a b"), ("token", "x")]);
    assert_eq!(with_auth, "token_type_hint=refresh_token&client_id=a+b&token=x");
}

#[test]
fn a_segment_stays_one_segment_and_the_rest_of_the_url_as_it_is() {
    let profile = builtin("github-app-token").unwrap();
    let url = |client_id| {
        let values = CallValues { client_id, ..values() };
        profile.request.url(profile.url().unwrap(), &values).map(String::from)
    };
    assert_eq!(
        url(Some("shop/../x?y#%2e")).unwrap(),
        "https://api.github.com/applications/shop%2F..%2Fx%3Fy%23%252e/token"
    );
    assert_eq!(
        url(Some("a\\..\\b")).unwrap(),
        "https://api.github.com/applications/a%5C..%5Cb/token"
    );
    for none in [None, Some(""), Some("."), Some(".."), Some("a\nb")] {
        assert_eq!(url(none), None, "{none:?}");
    }
    let base = "https://h.example/base/?q=1".parse().unwrap();
    let url = profile.request.url(&base, &CallValues { client_id: Some("c"), ..values() });
    assert_eq!(url.unwrap().as_str(), "https://h.example/base/applications/c/token?q=1");
}

/// The default profile's file describes the same fields as its hand-written calls.
#[test]
fn the_default_profile_sends_the_fields_of_its_file() {
    let job = crate::endpoint::testing::job();
    let sent = crate::endpoint::request::body(&job, "shop", &SecretString::from("s")).unwrap();
    let profile = builtin(ALIGNET).unwrap();
    let values = CallValues {
        token: crate::endpoint::testing::TOKEN,
        client_id: Some("shop"),
        client_secret: Some("s"),
        audience: Some(&job.audience),
        ..CallValues::default()
    };
    let by_file = profile.request.body(&values, &[]).unwrap();
    let json = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
    assert_eq!(json(&sent), json(&by_file));
}
