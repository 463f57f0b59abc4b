//! One request for many, renewal, and what an answer gives.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use secrecy::ExposeSecret as _;

use super::*;

fn answer(expires_in: u64) -> Fetched {
    let body = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{expires_in}}}"#);
    read(true, 200, body.as_bytes(), Instant::now()).unwrap()
}

/// Asks for the token of a client with this secret, which is got like this where one is got.
async fn get<F>(tokens: &AccessTokens, secret: &str, fetch: impl FnOnce() -> F) -> Fetched
where
    F: Future<Output = Fetched> + Send + 'static,
{
    tokens.of("shop", &Arc::new(SecretString::from(secret)), fetch).await
}

/// Takes a turn first, so that others come to wait for it.
async fn gives(expires_in: u64) -> Fetched {
    tokio::task::yield_now().await;
    answer(expires_in)
}

async fn fails() -> Fetched {
    tokio::task::yield_now().await;
    Err(Failure::unanswered(ResultLabel::Timeout, false))
}

async fn panics() -> Fetched {
    tokio::task::yield_now().await;
    panic!("a fault of ours")
}

async fn never() -> Fetched {
    panic!("it is known")
}

fn same(one: &Fetched, other: &Fetched) -> bool {
    let token = |fetched: &Fetched| Arc::clone(&fetched.as_ref().ok().unwrap().token);
    Arc::ptr_eq(&token(one), &token(other))
}

async fn advance(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_request_serves_all_that_wait_and_lasts_until_it_nears_its_end() {
    let (tokens, asked) = (AccessTokens::default(), AtomicUsize::new(0));
    let get = || {
        get(&tokens, "s", || {
            asked.fetch_add(1, Ordering::Relaxed);
            gives(100)
        })
    };
    for fetched in join_all((0..10).map(|_| get())).await {
        assert_eq!(fetched.ok().unwrap().token.expose_secret(), "a");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    tokio::time::advance(Duration::from_millis(74_999)).await;
    let token = get().await.ok().unwrap().token;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    let renewed = get().await.ok().unwrap().token;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    tokens.forget("shop", &token);
    drop(get().await);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "another one than the refused");
    tokens.forget("shop", &renewed);
    drop(get().await);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_kept_and_a_cut_off_call_stops_no_other() {
    let tokens = AccessTokens::default();
    for fetched in join_all((0..3).map(|_| get(&tokens, "s", fails))).await {
        assert!(fetched.is_err());
    }
    let mut cut = Box::pin(get(&tokens, "s", || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        answer(100)
    }));
    assert!((&mut cut).now_or_never().is_none());
    drop(cut);
    assert!(get(&tokens, "s", never).await.is_ok(), "it takes the request over");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_request_is_a_failure_of_those_who_wait_and_of_no_later_call() {
    let tokens = AccessTokens::default();
    for fetched in join_all((0..3).map(|_| get(&tokens, "s", panics))).await {
        let failure = fetched.err().unwrap();
        assert_eq!((failure.ambiguous, failure.blame), (false, Blame::Access));
    }
    assert!(get(&tokens, "s", || gives(100)).await.is_ok(), "the next call tries again");
}

#[tokio::test(start_paused = true)]
async fn one_call_renews_a_token_while_others_use_the_old_one_and_a_failure_keeps_it() {
    let tokens = AccessTokens::default();
    let old = get(&tokens, "s", || gives(100)).await;
    advance(75).await;
    let (renewing, other) =
        tokio::join!(get(&tokens, "s", fails), async { get(&tokens, "s", never).await });
    assert!(same(&old, &renewing) && same(&old, &other), "it still lasts");
    assert!(same(&old, &get(&tokens, "s", never).await), "not at once again");
    advance(RENEW_AGAIN.as_secs()).await;
    // A renewal that was cut off is taken over.
    let hangs = || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        answer(100)
    };
    let mut cut = Box::pin(get(&tokens, "s", hangs));
    assert!((&mut cut).now_or_never().is_none());
    assert!(same(&old, &get(&tokens, "s", never).await), "while another call renews it");
    drop(cut);
    let new = get(&tokens, "s", never).await;
    assert!(!same(&old, &new));
    advance(100).await;
    assert!(get(&tokens, "s", fails).await.is_err(), "it has ended");
}

#[tokio::test(start_paused = true)]
async fn another_secret_gets_another_token() {
    let tokens = AccessTokens::default();
    let old = get(&tokens, "s", || gives(100)).await;
    assert!(same(&old, &get(&tokens, "s", never).await), "the same text in another place");
    assert!(get(&tokens, "new", fails).await.is_err(), "the old one is not used");
    let new = get(&tokens, "new", || gives(100)).await;
    assert!(!same(&old, &new) && same(&new, &get(&tokens, "new", never).await));
}

#[test]
fn an_answer_gives_a_token_or_refuses_it_or_proves_nothing() {
    let now = Instant::now();
    let blame = |body: &str| {
        read(false, 401, body.as_bytes(), now).map(|fetched| fetched.err().unwrap().blame)
    };
    assert_eq!(blame(r#"{"error":"invalid_client"}"#), Some(Blame::Access));
    assert_eq!(blame("\u{feff}{\"error\":\"invalid_client\"}"), Some(Blame::Access), "a mark");
    assert!(read(true, 200, "\u{feff}{\"access_token\":\"a\"}".as_bytes(), now).unwrap().is_ok());
    assert_eq!(blame(r#"{"error":"temporarily_unavailable"}"#), None);
    assert_eq!(blame("<html>"), None);
    assert!(read(true, 200, b"{}", now).is_none());
    assert!(read(true, 200, b"<html>", now).is_none());
    // A token of another type, or one that is invalid in a header.
    for unfit in [
        r#"{"access_token":"a","token_type":"DPoP"}"#,
        r#"{"access_token":""}"#,
        r#"{"access_token":"a b"}"#,
        r#"{"access_token":"a\r\nX: y"}"#,
        r#"{"access_token":7}"#,
        r#"{"access_token":"a","access_token":"b"}"#,
    ] {
        assert!(read(true, 200, unfit.as_bytes(), now).is_none(), "{unfit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_is_a_number_or_a_text_and_no_longer_than_a_day() {
    let lasts = |life: &str| {
        let body = format!(r#"{{"access_token":"a","token_type":"bearer","expires_in":{life}}}"#);
        let token = read(true, 200, body.as_bytes(), Instant::now()).unwrap().ok().unwrap();
        (token.renew_from - Instant::now()).as_secs()
    };
    for (life, seconds) in [
        ("3600", 3570),
        ("\"3600\"", 3570),
        ("40", 30),
        ("0", 0),
        ("-1", 0),
        ("1e300", 24 * 3600 - 30),
        ("\"NaN\"", 24 * 3600 - 30),
        ("\"soon\"", 270),
        ("null", 270),
    ] {
        assert_eq!(lasts(life), seconds, "{life}");
    }
}
