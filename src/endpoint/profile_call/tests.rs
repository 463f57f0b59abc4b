//! Tests of the requests of each authentication method, and of admission.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::{
    domain::{Blame, JobDefaults},
    endpoint::{
        BasicEncoding, JwtAlgorithm, JwtSettings, builtin,
        testing::{self, CLIENT_ID, CLIENT_SECRET, Server, TOKEN, job},
    },
    ports::Endpoint as _,
};

type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A server that keeps the heads and bodies of requests. It answers requests to `/token` with `token`, and others with
/// `other`.
async fn server(token: &'static str, other: &'static str) -> (Server, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let server = Server::start(move |mut stream| {
        let kept = Arc::clone(&kept);
        async move {
            while let Ok((head, body)) = testing::read_request(&mut stream).await {
                let answer = if head.starts_with("POST /token ") { token } else { other };
                kept.lock().unwrap().push((head, String::from_utf8(body).unwrap()));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (server, seen)
}

fn settings(url: &str, profile: &str, method: AuthMethod) -> Settings {
    let auth = AuthSettings { client_id: Some(CLIENT_ID.into()), ..AuthSettings::by(method) };
    Settings { profile: builtin(profile).unwrap(), auth, ..testing::settings(url) }
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// The head and the form of the one call for a job.
async fn sent(change: impl FnOnce(&mut Settings)) -> (String, BTreeMap<String, String>) {
    let (server, seen) = server("", EMPTY).await;
    let mut settings = settings(&server.url(), "rfc7009", AuthMethod::Basic);
    change(&mut settings);
    let verdict = testing::endpoint(&settings).revoke(&job(), None).await.unwrap();
    assert_eq!(verdict, Verdict::Acknowledged);
    let (head, body) = seen.lock().unwrap().remove(0);
    (head, url::form_urlencoded::parse(body.as_bytes()).into_owned().collect())
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
}

fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn each_method_proves_the_client_where_its_server_looks() {
    let token = [("token", TOKEN), ("token_type_hint", "refresh_token")];
    let (head, form) = sent(|_| ()).await;
    // shop:canary-secret
    assert_eq!(header(&head, "authorization"), Some("Basic c2hvcDpjYW5hcnktc2VjcmV0"));
    assert_eq!(form, of(&token));
    let (head, form) = sent(|settings| settings.auth.method = AuthMethod::Post).await;
    assert_eq!(header(&head, "authorization"), None);
    let pair = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
    assert_eq!(form, of(&[token, pair].concat()));
    for method in [AuthMethod::None, AuthMethod::Mtls] {
        let (head, form) = sent(|settings| settings.auth.method = method).await;
        assert_eq!(header(&head, "authorization"), None);
        assert_eq!(form, of(&[&token[..], &[("client_id", CLIENT_ID)]].concat()));
    }
    let hinted = sent(|settings| settings.token_type_hint = Some("other".into())).await;
    assert_eq!(hinted.1["token_type_hint"], "other");
}

#[tokio::test]
async fn each_call_has_an_assertion_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key.pem");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let (server, seen) = server("", EMPTY).await;
    let mut settings = settings(&server.url(), "rfc7009", AuthMethod::PrivateKeyJwt);
    let algorithm = JwtAlgorithm::EdDsa;
    settings.auth.jwt =
        Some(JwtSettings { key_file, key_id: None, algorithm, audience: "a".to_owned() });
    let endpoint = testing::endpoint(&settings);
    for _ in 0..2 {
        assert_eq!(endpoint.revoke(&job(), None).await.unwrap(), Verdict::Acknowledged);
    }
    let seen = seen.lock().unwrap();
    let assertion = |place: usize| {
        let form = url::form_urlencoded::parse(seen[place].1.as_bytes());
        let form: BTreeMap<_, _> = form.into_owned().collect();
        assert_eq!(form["client_assertion_type"], ASSERTION_TYPE);
        form["client_assertion"].clone()
    };
    assert_ne!(assertion(0), assertion(1));
}

#[tokio::test]
async fn the_token_is_its_own_bearer_unless_it_cannot_stand_in_a_header() {
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n{\"ok\":true,\"revoked\":true}";
    let (server, seen) = server("", ok).await;
    let endpoint = testing::endpoint(&settings(&server.url(), "slack", AuthMethod::SelfBearer));
    assert_eq!(endpoint.revoke(&job(), None).await.unwrap(), Verdict::Revoked);
    let (head, body) = seen.lock().unwrap().remove(0);
    assert_eq!(header(&head, "authorization"), Some("Bearer canary-token"));
    assert_eq!((header(&head, "content-type"), body.as_str()), (None, ""));
    let job = Job::parse(br#"{"refresh_token":"a b"}"#, &JobDefaults::default()).unwrap();
    let place = "the header Authorization";
    let unfit = InvalidJob::Unfit("refresh_token", place);
    assert_eq!(endpoint.admit(&job), Err(UnknownClient::Invalid(unfit)));
}

#[tokio::test]
async fn a_bearer_is_fetched_once_and_again_when_it_is_refused() {
    let token = "HTTP/1.1 200 OK\r\ncontent-length: 39\r\n\r\n{\"access_token\":\"at\",\"expires_in\":3600}\n";
    let refused = "HTTP/1.1 401 No\r\ncontent-length: 26\r\n\r\n{\"error\":\"invalid_client\"}";
    let (server, seen) = server(token, refused).await;
    let mut settings = settings(&server.url(), "rfc7009", AuthMethod::Bearer);
    settings.auth.token_url = Some(format!("http://{}/token", server.addr).parse().unwrap());
    settings.auth.scope = Some("revoke it".to_owned());
    let endpoint = testing::endpoint(&settings);
    for _ in 0..2 {
        let Verdict::Transient(failure) = endpoint.revoke(&job(), None).await.unwrap() else {
            panic!("the server refuses")
        };
        assert_eq!((failure.label, failure.blame), (ResultLabel::Misconfigured, Blame::Client));
    }
    let seen = seen.lock().unwrap();
    let paths: Vec<_> = seen.iter().map(|(head, _)| head.split(' ').nth(1).unwrap()).collect();
    assert_eq!(paths, ["/token", "/revoke", "/token", "/revoke"]);
    assert_eq!(seen[0].1, "grant_type=client_credentials&scope=revoke+it");
    assert_eq!(header(&seen[0].0, "authorization"), Some("Basic c2hvcDpjYW5hcnktc2VjcmV0"));
    assert_eq!(header(&seen[1].0, "authorization"), Some("Bearer at"));
}

#[tokio::test]
async fn without_a_bearer_nothing_is_sent_and_nothing_is_in_doubt() {
    let no = "HTTP/1.1 401 No\r\ncontent-length: 26\r\n\r\n{\"error\":\"invalid_client\"}";
    let busy = "HTTP/1.1 503 No\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    let html = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>";
    let unfit = "HTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n{\"access_token\":\"a b\"}";
    let code = "HTTP/1.1 400 No\r\ncontent-length: 16\r\n\r\n{\"error\":\"slow\"}";
    for (answer, label, blame, class) in [
        (no, ResultLabel::Misconfigured, Blame::Access, FailureClass::ClientRefused),
        (busy, ResultLabel::Http5xx, Blame::TokenEndpoint, FailureClass::EmptyBody),
        (html, ResultLabel::Unrecognized, Blame::TokenEndpoint, FailureClass::Html),
        (unfit, ResultLabel::Unrecognized, Blame::TokenEndpoint, FailureClass::MissingFields),
        (code, ResultLabel::Http4xx, Blame::TokenEndpoint, FailureClass::UnknownCode),
    ] {
        let (server, seen) = server(answer, EMPTY).await;
        let mut settings = settings(&server.url(), "rfc7009", AuthMethod::Bearer);
        settings.auth.token_url = Some(format!("http://{}/token", server.addr).parse().unwrap());
        let verdict = testing::endpoint(&settings).revoke(&job(), None).await.unwrap();
        let Verdict::Transient(failure) = verdict else { panic!("{verdict:?}") };
        assert_eq!((failure.label, failure.ambiguous, failure.class), (label, false, class));
        assert!(failure.size.is_some());
        assert_eq!(failure.blame, blame, "a refusal concerns the client alone");
        assert!(!Verdict::Transient(failure).is_of_a_call(), "no call to revoke was made");
        assert_eq!(failure.retry_after.map(|wait| wait.as_secs()), (answer == busy).then_some(7));
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}

#[test]
fn a_job_is_let_through_for_a_client_that_is_known() {
    let admit = |profile, method, client: &str| {
        let endpoint = testing::endpoint(&settings("http://127.0.0.1:1/", profile, method));
        let body = format!(r#"{{"refresh_token":"t"{client}}}"#);
        let job = Job::parse(body.as_bytes(), &JobDefaults::default()).unwrap();
        endpoint.admit(&job).map(|_| ())
    };
    let (shop, other, none) = (r#","client_id":"shop""#, r#","client_id":"other""#, "");
    for method in [AuthMethod::Basic, AuthMethod::None, AuthMethod::Mtls] {
        assert_eq!(admit("rfc7009", method, shop), Ok(()));
        assert_eq!(admit("rfc7009", method, other), Err(UnknownClient::NoSecret));
        assert_eq!(admit("rfc7009", method, none), Err(UnknownClient::NotNamed));
    }
    for client in [shop, other, none] {
        assert_eq!(admit("google", AuthMethod::None, client), Ok(()), "no client is named");
    }
    assert_eq!(admit("twitch", AuthMethod::None, other), Err(UnknownClient::NoSecret));
}

#[test]
fn a_client_that_is_no_segment_of_a_path_is_an_invalid_job() {
    let mut settings = settings("http://127.0.0.1:1/", "github-app-token", AuthMethod::Basic);
    settings.auth.basic_encoding = BasicEncoding::Raw;
    let endpoint = HttpEndpoint::new(&settings, testing::credentials("..", "s")).unwrap();
    let job = Job::parse(br#"{"refresh_token":"t","client_id":".."}"#, &JobDefaults::default());
    let place = "the path of the endpoint's URL";
    let unfit = UnknownClient::Invalid(InvalidJob::Unfit("client_id", place));
    assert_eq!(endpoint.admit(&job.unwrap()), Err(unfit));
}

/// Profiles may have no rule for the 401 of an access token that was withdrawn.
#[test]
fn a_401_refuses_the_client_with_and_without_a_rule() {
    for (label, status, expected) in [
        (ResultLabel::Misconfigured, 400, true),
        (ResultLabel::Http4xx, 401, true),
        (ResultLabel::Http4xx, 404, false),
        (ResultLabel::Http5xx, 503, false),
    ] {
        let failure = Failure { http_status: Some(status), ..Failure::unanswered(label, false) };
        assert_eq!(refuses_client(&Verdict::Transient(failure)), expected, "{label} {status}");
    }
    assert!(!refuses_client(&Verdict::Acknowledged));
}
