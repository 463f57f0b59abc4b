//! The answers of real servers, as they were seen, read in a server's source or documented.

use super::*;
use crate::domain::ResultLabel;

const HTML: &str = "<html><body>Not Found</body></html>";

/// What each profile makes of an answer. `None`: no rule fits, so a 2xx is unrecognized and ambiguous, and any other
/// status is `http_4xx`.
const ANSWERS: &[(&str, u16, &str, Option<&str>)] = &[
    // node-oidc-provider and django-oauth-toolkit: live, the same again, unknown, of another client.
    ("rfc7009", 200, "", Some("acknowledged")),
    // Authlib, Doorkeeper, authentik.
    ("rfc7009", 200, "{}", Some("acknowledged")),
    ("rfc7009", 204, "", Some("acknowledged")),
    (
        "rfc7009",
        401,
        r#"{"error":"invalid_client","error_description":"client authentication failed"}"#,
        Some("misconfigured"),
    ),
    ("rfc7009", 401, r#"{"error": "invalid_client"}"#, Some("misconfigured")),
    // No client at all, no token, a JSON body, another client's token.
    (
        "rfc7009",
        400,
        r#"{"error":"invalid_request","error_description":"no client authentication mechanism provided"}"#,
        Some("rejected"),
    ),
    // Authlib: an unknown hint; another client's token.
    ("rfc7009", 401, r#"{"error": "unsupported_token_type"}"#, Some("rejected")),
    ("rfc7009", 400, r#"{"error": "invalid_grant"}"#, Some("rejected")),
    // Doorkeeper: a wrong client and another client's token alike.
    ("rfc7009", 403, r#"{"error":"unauthorized_client"}"#, Some("misconfigured")),
    // Salesforce.
    ("rfc7009", 400, r#"{"error":"invalid_token"}"#, Some("gone")),
    ("rfc7009", 400, r#"{"error":"unsupported_token_type"}"#, Some("rejected")),
    // A wrong path, a wrong method.
    ("rfc7009", 404, HTML, None),
    ("rfc7009", 405, "", None),
    ("rfc7009", 405, HTML, None),
    // An error inside of a 200, and what no server of OAuth answers.
    ("rfc7009", 200, r#"{"error":"temporarily_unavailable"}"#, None),
    ("rfc7009", 200, HTML, None),
    ("rfc7009", 200, "[]", None),
    ("rfc7009", 200, r#""ok""#, None),
    ("rfc7009", 202, "", None),
    ("rfc7009", 400, "", None),
    ("rfc7009", 400, r#"{"error":"server_error"}"#, None),
    ("keycloak", 200, "", Some("revoked")),
    (
        "keycloak",
        200,
        r#"{"error":"invalid_token","error_description":"Invalid token"}"#,
        Some("gone"),
    ),
    ("keycloak", 200, "{}", None),
    (
        "keycloak",
        400,
        r#"{"error":"invalid_request","error_description":"Unmatching clients"}"#,
        Some("rejected"),
    ),
    ("keycloak", 400, r#"{"error":"unsupported_token_type"}"#, Some("rejected")),
    ("keycloak", 401, r#"{"error":"invalid_client"}"#, Some("misconfigured")),
    (
        "keycloak",
        403,
        r#"{"error":"invalid_request","error_description":"HTTPS required"}"#,
        Some("misconfigured"),
    ),
    (
        "keycloak",
        403,
        r#"{"error":"access_denied","error_description":"Realm not enabled"}"#,
        Some("misconfigured"),
    ),
    ("google", 200, "{}", Some("revoked")),
    (
        "google",
        400,
        r#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#,
        Some("gone"),
    ),
    ("google", 404, HTML, None),
    ("google", 200, "", None),
    ("github-app-token", 204, "", Some("revoked")),
    ("github-app-token", 401, r#"{"message":"Bad credentials"}"#, Some("misconfigured")),
    (
        "github-app-token",
        422,
        r#"{"message":"Validation Failed","status":"422"}"#,
        Some("rejected"),
    ),
    ("github-app-token", 404, r#"{"message":"Not Found","status":"404"}"#, None),
    ("github-app-token", 200, "{}", None),
    ("slack", 200, r#"{"ok":true,"revoked":true}"#, Some("revoked")),
    ("slack", 200, r#"{"ok":true,"revoked":false}"#, None),
    ("slack", 200, r#"{"ok":false,"error":"token_revoked"}"#, Some("gone")),
    ("slack", 200, r#"{"ok":false,"error":"invalid_auth"}"#, Some("rejected")),
    ("slack", 200, r#"{"ok":false,"error":"internal_error"}"#, None),
    ("slack", 200, r#"{"ok":true}"#, None),
    ("twitch", 200, "", Some("revoked")),
    ("twitch", 400, r#"{"status":400,"message":"Invalid token"}"#, Some("gone")),
    ("twitch", 404, r#"{"status":404,"message":"client does not exist"}"#, Some("misconfigured")),
    ("twitch", 404, HTML, None),
    (
        "elasticsearch",
        200,
        r#"{"invalidated_tokens":1,"previously_invalidated_tokens":0,"error_count":0}"#,
        Some("revoked"),
    ),
    (
        "elasticsearch",
        200,
        r#"{"invalidated_tokens":0,"previously_invalidated_tokens":1,"error_count":0}"#,
        Some("gone"),
    ),
    (
        "elasticsearch",
        200,
        r#"{"invalidated_tokens":0,"previously_invalidated_tokens":0,"error_count":1}"#,
        None,
    ),
    (
        "elasticsearch",
        200,
        r#"{"invalidated_tokens":1,"previously_invalidated_tokens":0,"error_count":1}"#,
        None,
    ),
    ("elasticsearch", 200, r#"{"invalidated_tokens":1.0,"error_count":0}"#, None),
    (
        "elasticsearch",
        401,
        r#"{"error":{"type":"security_exception"},"status":401}"#,
        Some("misconfigured"),
    ),
];

#[test]
fn every_answer_is_judged_as_its_server_means_it() {
    for (name, status, body, expected) in ANSWERS {
        let profile = builtin(name).unwrap();
        let verdict = judge(&profile, *status, body);
        let label = verdict.as_ref().map(|verdict| verdict.label().as_str());
        assert_eq!(label, *expected, "{name} {status} {body}: {verdict:?}");
        if let Some(Verdict::Revoked) = verdict {
            assert_eq!(profile.proof, Proof::Said, "{name}");
        }
    }
    for (name, _) in BUILTIN.iter().filter(|(name, _)| *name != ALIGNET) {
        assert!(ANSWERS.iter().any(|(of, ..)| of == name), "{name} has no answers here");
    }
}

#[test]
fn code_and_text_of_an_answer_are_kept_without_what_we_sent() {
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
