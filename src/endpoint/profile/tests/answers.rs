//! Tests with answers of real servers, as observed, read in source code or documented.

use super::*;
use crate::{domain::ResultLabel, endpoint::test_profile};

const HTML: &str = "<html><body>Not Found</body></html>";

/// The result label of each profile for an answer. `http_4xx` and `unrecognized` mean that no rule matches.
const ANSWERS: &[(&str, u16, &str, &str)] = &[
    // node-oidc-provider and django-oauth-toolkit: live, the same again, unknown, an unknown hint, a token with a space
    // before it, another client's token. Keycloak, Hydra, Spring, Zitadel, Duende, WSO2, Connect2id, WorkOS, Auth0, Okta,
    // Cognito and Apple answer the same. So does Hydra to another client's token, and while its database fails.
    ("rfc7009", 200, "", "acknowledged"),
    // Authlib, Doorkeeper, authentik, Discord. Doorkeeper: also without a token. Authlib: also where the token lives on.
    ("rfc7009", 200, "{}", "acknowledged"),
    // No server is known for these: a byte order mark before JSON is ignored, and a mark alone is no empty body.
    ("rfc7009", 200, "\u{feff}{}", "acknowledged"),
    ("rfc7009", 200, "\u{feff}", "unrecognized"),
    ("rfc7009", 400, "\u{feff}{\"error\":\"invalid_token\"}", "gone"),
    // Zoom.
    ("rfc7009", 200, r#"{"status":"success"}"#, "acknowledged"),
    // Reddit.
    ("rfc7009", 204, "", "acknowledged"),
    // node-oidc-provider: a wrong secret, an unknown client, an assertion with a wrong audience or used twice.
    (
        "rfc7009",
        401,
        r#"{"error":"invalid_client","error_description":"client authentication failed"}"#,
        "misconfigured",
    ),
    // django-oauth-toolkit and Authlib: a wrong secret, no client at all, a pair in the wrong encoding.
    ("rfc7009", 401, r#"{"error": "invalid_client"}"#, "misconfigured"),
    // Spring: another client's token.
    ("rfc7009", 400, r#"{"error":"invalid_client"}"#, "misconfigured"),
    // Zitadel: another client's token.
    (
        "rfc7009",
        401,
        r#"{"error":"invalid_client","error_description":"token was not issued for this client"}"#,
        "misconfigured",
    ),
    // RFC 6749, and Doorkeeper: a wrong client and another client's token alike.
    ("rfc7009", 400, r#"{"error":"unauthorized_client"}"#, "misconfigured"),
    ("rfc7009", 403, r#"{"error":"unauthorized_client"}"#, "misconfigured"),
    // A gateway that requires a client, and the answer to our expired access token.
    ("rfc7009", 401, "", "misconfigured"),
    ("rfc7009", 401, HTML, "misconfigured"),
    ("rfc7009", 401, r#"{"error":"invalid_token"}"#, "misconfigured"),
    // node-oidc-provider: no client at all, a pair that is not form-encoded, `token` twice, another client's token. All
    // three: no token, an empty one, a JSON body.
    (
        "rfc7009",
        400,
        r#"{"error":"invalid_request","error_description":"no client authentication mechanism provided"}"#,
        "rejected",
    ),
    // Authlib: an unknown hint; another client's token. WorkOS: another client's token.
    ("rfc7009", 401, r#"{"error": "unsupported_token_type"}"#, "rejected"),
    ("rfc7009", 400, r#"{"error": "invalid_grant"}"#, "rejected"),
    // RFC 6749 and 7009. Salesforce and Cognito: a token of another type.
    ("rfc7009", 400, r#"{"error":"unsupported_token_type"}"#, "rejected"),
    ("rfc7009", 400, r#"{"error":"unsupported_grant_type"}"#, "rejected"),
    // Salesforce: again, unknown. Keycloak, called by this profile.
    ("rfc7009", 400, r#"{"error":"invalid_token"}"#, "gone"),
    ("rfc7009", 200, r#"{"error":"invalid_token"}"#, "gone"),
    // RFC 7009: the token still exists. Zitadel: its storage fails.
    ("rfc7009", 503, "", "http_5xx"),
    ("rfc7009", 503, r#"{"error":"invalid_token"}"#, "http_5xx"),
    ("rfc7009", 500, r#"{"error":"server_error"}"#, "http_5xx"),
    ("rfc7009", 429, "", "http_429"),
    ("rfc7009", 302, "", "http_3xx"),
    // django-oauth-toolkit without the last slash; node-oidc-provider, Authlib and django-oauth-toolkit for a GET.
    ("rfc7009", 404, HTML, "http_4xx"),
    ("rfc7009", 404, "", "http_4xx"),
    ("rfc7009", 405, "", "http_4xx"),
    ("rfc7009", 405, HTML, "http_4xx"),
    // An error inside a 200, and answers that no OAuth server gives.
    ("rfc7009", 200, r#"{"error":"temporarily_unavailable"}"#, "unrecognized"),
    ("rfc7009", 200, HTML, "unrecognized"),
    ("rfc7009", 200, "[]", "unrecognized"),
    ("rfc7009", 200, r#""ok""#, "unrecognized"),
    ("rfc7009", 202, "", "unrecognized"),
    ("rfc7009", 400, "", "http_4xx"),
    ("rfc7009", 400, r#"{"error":"server_error"}"#, "http_4xx"),
    ("keycloak", 200, "", "revoked"),
    ("keycloak", 200, r#"{"error":"invalid_token","error_description":"Invalid token"}"#, "gone"),
    ("keycloak", 200, "{}", "unrecognized"),
    // Another client's token.
    (
        "keycloak",
        400,
        r#"{"error":"invalid_request","error_description":"Unmatching clients"}"#,
        "rejected",
    ),
    // A repeated field.
    ("keycloak", 400, r#"{"error":"invalid_request"}"#, "rejected"),
    ("keycloak", 400, r#"{"error":"unsupported_token_type"}"#, "rejected"),
    ("keycloak", 401, r#"{"error":"invalid_client"}"#, "misconfigured"),
    ("keycloak", 401, "", "misconfigured"),
    ("keycloak", 401, r#"{"error":"invalid_token"}"#, "misconfigured"),
    (
        "keycloak",
        403,
        r#"{"error":"invalid_request","error_description":"HTTPS required"}"#,
        "misconfigured",
    ),
    (
        "keycloak",
        403,
        r#"{"error":"access_denied","error_description":"Realm not enabled"}"#,
        "misconfigured",
    ),
    ("google", 200, "{}", "revoked"),
    (
        "google",
        400,
        r#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#,
        "gone",
    ),
    ("google", 404, HTML, "http_4xx"),
    ("google", 200, "", "unrecognized"),
    ("google", 200, r#"{"error":"invalid_token"}"#, "unrecognized"),
    ("github-app-token", 204, "", "revoked"),
    ("github-app-token", 401, r#"{"message":"Bad credentials"}"#, "misconfigured"),
    ("github-app-token", 404, r#"{"message":"Not Found","status":"404"}"#, "rejected"),
    ("github-app-token", 404, HTML, "http_4xx"),
    ("github-app-token", 422, r#"{"message":"Validation Failed","status":"422"}"#, "rejected"),
    ("github-app-token", 422, "", "http_4xx"),
    ("github-app-token", 200, "{}", "unrecognized"),
    ("github-app-token", 429, r#"{"message":"API rate limit exceeded"}"#, "http_429"),
    ("slack", 200, r#"{"ok":true,"revoked":true}"#, "revoked"),
    // Its test mode.
    ("slack", 200, r#"{"ok":true,"revoked":false}"#, "unrecognized"),
    ("slack", 200, r#"{"ok":false,"error":"token_revoked"}"#, "gone"),
    ("slack", 200, r#"{"ok":false,"error":"invalid_auth"}"#, "rejected"),
    ("slack", 200, r#"{"ok":false,"error":"internal_error"}"#, "unrecognized"),
    ("slack", 200, r#"{"ok":true}"#, "unrecognized"),
    ("slack", 429, "", "http_429"),
    ("twitch", 200, "", "revoked"),
    ("twitch", 400, r#"{"status":400,"message":"Invalid token"}"#, "gone"),
    ("twitch", 404, r#"{"status":404,"message":"client does not exist"}"#, "misconfigured"),
    ("twitch", 404, HTML, "http_4xx"),
    (
        "elasticsearch",
        200,
        r#"{"invalidated_tokens":1,"previously_invalidated_tokens":0,"error_count":0}"#,
        "revoked",
    ),
    (
        "elasticsearch",
        200,
        r#"{"invalidated_tokens":0,"previously_invalidated_tokens":1,"error_count":0}"#,
        "gone",
    ),
    (
        "elasticsearch",
        404,
        r#"{"invalidated_tokens":0,"previously_invalidated_tokens":0,"error_count":0}"#,
        "rejected",
    ),
    ("elasticsearch", 404, r#"{"error":"no handler found","status":404}"#, "http_4xx"),
    // Errors inside of a 200.
    (
        "elasticsearch",
        200,
        r#"{"invalidated_tokens":0,"previously_invalidated_tokens":0,"error_count":1}"#,
        "unrecognized",
    ),
    (
        "elasticsearch",
        200,
        r#"{"invalidated_tokens":1,"previously_invalidated_tokens":0,"error_count":1}"#,
        "unrecognized",
    ),
    ("elasticsearch", 200, r#"{"invalidated_tokens":1.0,"error_count":0}"#, "unrecognized"),
    (
        "elasticsearch",
        401,
        r#"{"error":{"type":"security_exception"},"status":401}"#,
        "misconfigured",
    ),
];

#[test]
fn every_answer_is_judged_as_its_server_means_it() {
    for (name, status, body, expected) in ANSWERS {
        let profile = builtin(name).unwrap();
        let status = StatusCode::from_u16(*status).unwrap();
        let verdict = test_profile(&profile, status, body.as_bytes()).verdict;
        assert_eq!(verdict.label().as_str(), *expected, "{name} {status} {body}: {verdict:?}");
        if verdict == Verdict::Revoked {
            assert_eq!(profile.proof, Proof::Said, "{name}");
        }
        if let Verdict::Transient(failure) = verdict {
            let doubted = matches!(*expected, "unrecognized" | "http_5xx");
            assert_eq!(failure.ambiguous, doubted, "{name} {status} {body}");
        }
    }
    for (name, _) in BUILTIN.iter().filter(|(name, _)| *name != ALIGNET) {
        let mut of_this = ANSWERS.iter().filter(|(of, ..)| of == name);
        assert!(of_this.next().is_some(), "{name} has no answers here");
    }
}

/// Each rule of each profile judges an answer here: none is left untested.
#[test]
fn every_rule_judges_an_answer_of_the_table() {
    for (name, _) in BUILTIN.iter().filter(|(name, _)| *name != ALIGNET) {
        let profile = builtin(name).unwrap();
        let fits = |(_, status, body, _): &(&str, u16, &str, &str)| {
            let status = StatusCode::from_u16(*status).unwrap();
            test_profile(&profile, status, body.as_bytes()).rule.map(|(number, _)| number)
        };
        let of_this = ANSWERS.iter().filter(|(of, ..)| of == name);
        let used: std::collections::BTreeSet<_> = of_this.filter_map(fits).collect();
        assert!(used.into_iter().eq(1..=profile.answers.len()), "{name}");
    }
}

#[test]
fn code_and_text_of_an_answer_are_kept_without_our_secrets() {
    let keycloak = builtin("keycloak").unwrap();
    let body = r#"{"error":"invalid_request","error_description":"no canary-token\nhere"}"#;
    let Some(Verdict::Rejected(said)) = judge(&keycloak, 400, body) else { panic!("not rejected") };
    assert_eq!((said.code.as_str(), said.http_status), ("invalid_request", 400));
    assert_eq!(said.message.as_deref(), Some("no [redacted] here"));
    let twitch = builtin("twitch").unwrap();
    let body = r#"{"status":400,"message":"Invalid token"}"#;
    let Some(Verdict::Gone(said)) = judge(&twitch, 400, body) else { panic!("not gone") };
    assert_eq!((said.code.as_str(), said.message.as_deref()), ("400", Some("Invalid token")));
}

#[test]
fn a_refused_client_is_to_blame_and_nothing_is_in_doubt() {
    let rfc7009 = builtin("rfc7009").unwrap();
    let verdict = judge(&rfc7009, 401, r#"{"error":"invalid_client"}"#);
    let Some(Verdict::Transient(failure)) = verdict else { panic!("{verdict:?}") };
    assert_eq!((failure.label, failure.ambiguous), (ResultLabel::Misconfigured, false));
    assert_eq!(failure.blame, crate::domain::Blame::Client);
}

/// Two different codes in one answer prove nothing, wherever the rules look.
#[test]
fn a_key_that_occurs_twice_where_a_rule_looks_makes_no_answer() {
    let keycloak = builtin("keycloak").unwrap();
    let twice = r#"{"error":"invalid_token","error":"invalid_request"}"#;
    assert_eq!(judge(&keycloak, 200, twice), None);
    let elsewhere = r#"{"x":1,"x":2,"error":"invalid_token"}"#;
    assert!(matches!(judge(&keycloak, 200, elsewhere), Some(Verdict::Gone(_))));
}
