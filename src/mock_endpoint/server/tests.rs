use http::header::RETRY_AFTER;
use reqwest::{Client, Response as Answer, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::mock_endpoint::{MockOutage, script::CannedAnswer};

async fn start(script: Script) -> (MockEndpoint, Client) {
    let endpoint = MockEndpoint::start(script, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    // The client needs a TLS provider even for plain HTTP, but no system roots.
    crate::endpoint::install_crypto_provider();
    let client = Client::builder().no_proxy().tls_certs_only([]).retry(reqwest::retry::never());
    (endpoint, client.build().unwrap())
}

async fn post(endpoint: &MockEndpoint, client: &Client, token: &str) -> reqwest::Result<Answer> {
    let body = json!({
        "action": "revoke",
        "client_id": "shop",
        "client_secret": "canary-secret",
        "audience": "https://api.dev.alignet.io",
        "refresh_token": token,
    });
    client.post(endpoint.url()).body(body.to_string()).send().await
}

async fn code(answer: Answer) -> String {
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let envelope: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let code = envelope["revoke"]["meta"]["status"]["code"].as_str().unwrap().to_owned();
    assert_eq!(envelope["success"], code == "00");
    code
}

async fn call(endpoint: &MockEndpoint, client: &Client, token: &str) -> String {
    code(post(endpoint, client, token).await.unwrap()).await
}

#[tokio::test]
async fn it_answers_in_the_vendors_words_and_a_second_time_01() {
    let (endpoint, client) = start(Script::default()).await;
    let answer = post(&endpoint, &client, "token").await.unwrap().bytes().await.unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&answer).unwrap(),
        json!({"action": "revoke", "success": true, "revoke": {"meta": {"status": {
            "code": "00",
            "message_ilgn": [{"locale": "es_PE", "value": "Refresh Token eliminado"}],
        }}}})
    );
    assert_eq!(call(&endpoint, &client, "token").await, "01");
    let token = endpoint.ledger().token(Fingerprint::of("token"));
    assert_eq!(token, TokenTotals { calls: 2, revoked: 1, rejected: 1 });
}

#[tokio::test]
async fn idempotent_it_answers_00_again() {
    let (endpoint, client) = start(Script { idempotent: true, ..Script::default() }).await;
    assert_eq!(call(&endpoint, &client, "token").await, "00");
    assert_eq!(call(&endpoint, &client, "token").await, "00");
}

#[tokio::test]
async fn a_proof_is_dated_when_its_answer_leaves() {
    let latency = Duration::from_millis(20);
    let (endpoint, client) = start(Script { latency, ..Script::default() }).await;
    let token = Fingerprint::of("token");
    assert_eq!(endpoint.ledger().proved_at(token), None);
    let began = std::time::Instant::now();
    call(&endpoint, &client, "token").await;
    let proved = endpoint.ledger().proved_at(token);
    assert!(proved.is_some_and(|at| at >= began + latency), "{proved:?}");
    assert_eq!(call(&endpoint, &client, "token").await, "01");
    assert_eq!(endpoint.ledger().proved_at(token), proved);
}

#[tokio::test]
async fn a_revocation_whose_answer_is_lost_is_no_proof() {
    let (endpoint, client) = start(Script { fault_share: 1.0, ..Script::default() }).await;
    let tokens: Vec<String> = (0..20).map(|n| format!("token-{n}")).collect();
    for token in &tokens {
        post(&endpoint, &client, token).await.unwrap_err();
    }
    assert!(endpoint.ledger().totals().revoked_unanswered > 0);
    let proved = |token: &String| endpoint.ledger().proved_at(Fingerprint::of(token));
    assert!(tokens.iter().all(|token| proved(token).is_none()));
}

#[tokio::test]
async fn the_ledger_is_shown_by_fingerprint() {
    let (endpoint, client) = start(Script::default()).await;
    call(&endpoint, &client, "abc").await;
    call(&endpoint, &client, "abc").await;
    let page = |query: &str| {
        let request = client.get(format!("http://{}/ledger{query}", endpoint.addr()));
        async move {
            let bytes = request.send().await.unwrap().bytes().await.unwrap();
            serde_json::from_slice::<Value>(&bytes).unwrap()
        }
    };
    let mut expected = json!({
        "calls": 2, "revoked": 1, "revoked_unanswered": 0, "rejected": 1, "faults": 0,
        "throttled": 0, "parallel_peak": 1,
    });
    assert_eq!(page("?summary").await, expected);
    expected["tokens"] = json!({"ba7816bf8f01": {"calls": 2, "revoked": 1, "rejected": 1}});
    assert_eq!(page("").await, expected);
    let health = client.get(format!("http://{}/healthz", endpoint.addr())).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    let ready = client.get(format!("http://{}/readyz", endpoint.addr())).send().await.unwrap();
    let ready: Readiness = serde_json::from_slice(&ready.bytes().await.unwrap()).unwrap();
    assert!(ready.ready);
    let elsewhere = client.get(format!("http://{}/other", endpoint.addr())).send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_that_is_no_call_is_answered_400() {
    let (endpoint, client) = start(Script::default()).await;
    for body in ["", "{", "[]", r#"{"action":"revoke"}"#, r#"{"action":"x","refresh_token":"t"}"#] {
        let answer = client.post(endpoint.url()).body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(endpoint.ledger().totals().rejected, 5);
    assert!(endpoint.ledger().tokens().is_empty());
}

#[tokio::test]
async fn a_fault_resets_the_connection_before_or_after_revoking() {
    let (endpoint, client) = start(Script { fault_share: 1.0, ..Script::default() }).await;
    let mut revoked = 0;
    for i in 0..20 {
        let token = format!("token-{i}");
        let plan =
            Script { fault_share: 1.0, ..Script::default() }.plan(Fingerprint::of(&token), 1);
        let error = post(&endpoint, &client, &token).await.unwrap_err();
        assert!(error.is_request() && !error.is_connect() && !error.is_timeout(), "{error:?}");
        revoked += u64::from(plan.fault == Some(ResetPoint::After));
    }
    let totals = endpoint.ledger().totals();
    assert_eq!((totals.calls, totals.faults), (20, 20));
    assert_eq!((totals.revoked, totals.revoked_unanswered), (revoked, revoked));
    assert!((1..20).contains(&revoked), "{revoked}");
}

#[tokio::test]
async fn rejections_come_by_share_by_prefix_and_by_wrong_secrets() {
    let (endpoint, client) = start(Script { reject_share: 1.0, ..Script::default() }).await;
    assert_eq!(call(&endpoint, &client, "token").await, "01");

    let script = Script { reject_prefix: Some("bad".into()), ..Script::default() };
    let (endpoint, client) = start(script).await;
    assert_eq!(call(&endpoint, &client, "bad-1").await, "01");
    assert_eq!(call(&endpoint, &client, "good-1").await, "00");

    for (id, secret, expected) in
        [("shop", "canary-secret", "00"), ("shop", "other", "01"), ("other", "canary-secret", "01")]
    {
        let clients = BTreeMap::from([(id.to_owned(), secret.into())]);
        let (endpoint, client) = start(Script { clients, ..Script::default() }).await;
        assert_eq!(call(&endpoint, &client, "token").await, expected, "{id} {secret}");
    }
}

#[tokio::test]
async fn a_canned_answer_comes_in_place_of_the_envelope() {
    let canned = CannedAnswer {
        status: StatusCode::SERVICE_UNAVAILABLE,
        content_type: "text/html",
        body: Bytes::from_static(b"<html>"),
    };
    let script = Script { canned: Some(canned), retry_after: Some(7), ..Script::default() };
    let (endpoint, client) = start(script).await;
    let answer = post(&endpoint, &client, "token").await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[RETRY_AFTER], "7");
    assert_eq!(answer.bytes().await.unwrap().as_ref(), b"<html>");
    let totals = endpoint.ledger().totals();
    assert_eq!((totals.calls, totals.revoked, totals.faults), (1, 0, 1));
}

#[tokio::test]
async fn messages_echo_the_request_only_on_demand() {
    for echo in [false, true] {
        let (endpoint, client) = start(Script { echo, ..Script::default() }).await;
        for _ in 0..2 {
            let answer = post(&endpoint, &client, "canary-token").await.unwrap();
            let text = answer.text().await.unwrap();
            assert_eq!(text.contains("canary-token"), echo, "{text}");
            assert_eq!(text.contains("canary-secret"), echo, "{text}");
        }
    }
}

#[tokio::test]
async fn beyond_the_limit_calls_are_throttled_and_stopping_resets_those_under_way() {
    let script = Script {
        latency: Duration::from_secs(3600),
        max_parallel: Some(2),
        retry_after: Some(3),
        ..Script::default()
    };
    let (endpoint, client) = start(script).await;
    let under_way: Vec<_> = (0..2)
        .map(|i| {
            let (url, client) = (endpoint.url(), client.clone());
            let body = format!(r#"{{"action":"revoke","refresh_token":"t{i}"}}"#);
            tokio::spawn(async move { client.post(url).body(body).send().await })
        })
        .collect();
    // The token is revoked when the call arrives, long before the answer.
    endpoint.ledger().until(|totals| totals.revoked == 2).await;

    let answer = post(&endpoint, &client, "third").await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()[RETRY_AFTER], "3");
    let totals = endpoint.ledger().totals();
    assert_eq!((totals.throttled, totals.parallel_peak), (1, 3));

    let addr = endpoint.addr();
    endpoint.stop().await;
    for call in under_way {
        assert!(call.await.unwrap().is_err());
    }
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn every_call_waits_for_the_latency_and_slow_ones_longer() {
    let (endpoint, client) = start(Script {
        latency: Duration::from_millis(30),
        slow_share: 1.0,
        slow_latency: Duration::from_millis(60),
        ..Script::default()
    })
    .await;
    let begun = std::time::Instant::now();
    assert_eq!(call(&endpoint, &client, "token").await, "00");
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn the_same_seed_answers_the_same_tokens_in_the_same_way_in_any_order() {
    let script = Script { seed: 3, reject_share: 0.5, fault_share: 0.3, ..Script::default() };
    let mut runs = Vec::new();
    for reversed in [false, true] {
        let (endpoint, client) = start(script.clone()).await;
        let mut tokens: Vec<_> = (0..30).map(|i| format!("token-{i}")).collect();
        if reversed {
            tokens.reverse();
        }
        for token in tokens {
            let _ = post(&endpoint, &client, &token).await;
        }
        runs.push((endpoint.ledger().totals(), endpoint.ledger().tokens()));
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].0.rejected > 0 && runs[0].0.faults > 0 && runs[0].0.revoked > 0);
}

#[tokio::test]
async fn while_it_is_away_a_gateway_answers_and_nothing_is_revoked() {
    let lasts = std::time::Duration::from_secs(3600);
    let outage = Some(MockOutage { after: 1, lasts });
    let (endpoint, client) = start(Script { outage, ..Script::default() }).await;
    assert_eq!(call(&endpoint, &client, "before").await, "00");
    let answer = post(&endpoint, &client, "meanwhile").await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let totals = endpoint.ledger().totals();
    assert_eq!((totals.calls, totals.revoked, totals.faults), (2, 1, 1));
}
