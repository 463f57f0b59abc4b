//! Access tokens for calls with a bearer token, fetched with a client's own credentials: RFC 6749, section 4.4.
//!
//! A token is kept until shortly before its expiry. One request fetches it for all waiting calls. They share one
//! future, so no lock is held meanwhile and no detached task runs.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::basic::bearer;
use crate::domain::{Blame, Failure, ResultLabel};

/// The time for which a token without a lifetime is used.
const LIFETIME: Duration = Duration::from_secs(300);

/// A token is replaced this long before its expiry. For a short lifetime, the margin is a quarter of it.
const MARGIN: Duration = Duration::from_secs(30);

/// The longest accepted lifetime.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A token, or the failure of fetching it.
pub(super) type Fetched = Result<AccessToken, Failure>;

/// A token and its expiry.
#[derive(Clone)]
pub(super) struct AccessToken {
    pub(super) token: Arc<SecretString>,
    until: Instant,
}

/// The tokens of all clients.
#[derive(Default)]
pub(super) struct AccessTokens(Mutex<HashMap<String, Shared<BoxFuture<'static, Fetched>>>>);

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens").finish_non_exhaustive()
    }
}

impl AccessTokens {
    /// Returns the token of a client. `fetch` gets a new one if there is no valid one.
    pub(super) async fn of<F>(&self, client_id: &str, fetch: impl FnOnce() -> F) -> Fetched
    where
        F: Future<Output = Fetched> + Send + 'static,
    {
        let fetching = {
            let mut tokens = self.tokens();
            let known = tokens.get(client_id).filter(|fetched| lasts(fetched));
            known.cloned().unwrap_or_else(|| {
                let fetching = fetch().boxed().shared();
                tokens.insert(client_id.to_owned(), fetching.clone());
                fetching
            })
        };
        fetching.await
    }

    /// Forgets the token of a client after the endpoint refused it.
    pub(super) fn forget(&self, client_id: &str, refused: &Arc<SecretString>) {
        let mut tokens = self.tokens();
        let is_refused = tokens.get(client_id).and_then(Shared::peek).is_some_and(|fetched| {
            fetched.as_ref().is_ok_and(|known| Arc::ptr_eq(&known.token, refused))
        });
        if is_refused {
            tokens.remove(client_id);
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Shared<BoxFuture<'static, Fetched>>>> {
        // A poisoned lock is usable: each entry is replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a token is being fetched or is still valid. After a failure, the next call fetches again.
fn lasts(fetched: &Shared<BoxFuture<'static, Fetched>>) -> bool {
    match fetched.peek() {
        None => true,
        Some(Ok(token)) => Instant::now() < token.until,
        Some(Err(_)) => false,
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: Option<String>,
    /// A number. Some servers write it as a string.
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
}

/// Reads an answer of the token endpoint, except for statuses that are always failures. `None` if it proves nothing.
pub(super) fn read(is_success: bool, http_status: u16, body: &[u8]) -> Option<Fetched> {
    if is_success {
        let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
        let is_bearer = answer.token_type.is_none_or(|of| of.eq_ignore_ascii_case("bearer"));
        // Without its header, a call would have no client.
        let token = SecretString::from(answer.access_token);
        bearer(&token).filter(|_| is_bearer)?;
        let seconds = |life: Value| life.as_f64().or_else(|| life.as_str()?.parse().ok());
        let asked = answer.expires_in.and_then(seconds).map_or(LIFETIME, |seconds| {
            Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).unwrap_or_default()
        });
        let margin = MARGIN.min(asked / 4);
        let until = Instant::now() + asked.saturating_sub(margin);
        return Some(Ok(AccessToken { token: Arc::new(token), until }));
    }
    let TokenError { error } = serde_json::from_slice(body).ok()?;
    let refuses = [
        "invalid_client",
        "unauthorized_client",
        "invalid_request",
        "invalid_scope",
        "invalid_grant",
        "unsupported_grant_type",
        "access_denied",
    ];
    refuses.contains(&error.as_str()).then_some(Err(Failure {
        label: ResultLabel::Misconfigured,
        ambiguous: false,
        http_status: Some(http_status),
        retry_after: None,
        blame: Blame::Access,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn answer(expires_in: u64) -> Fetched {
        let body =
            format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{expires_in}}}"#);
        read(true, 200, body.as_bytes()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_serves_all_that_wait_and_lasts_until_it_nears_its_end() {
        let (tokens, asked) = (AccessTokens::default(), AtomicUsize::new(0));
        let get = || {
            tokens.of("shop", || {
                asked.fetch_add(1, Ordering::Relaxed);
                async {
                    tokio::task::yield_now().await;
                    answer(100)
                }
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
        let fails = || async { Err(Failure::unanswered(ResultLabel::Timeout, false)) };
        assert!(tokens.of("shop", fails).await.is_err());
        let mut cut = Box::pin(tokens.of("shop", || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer(100)
        }));
        assert!((&mut cut).now_or_never().is_none());
        drop(cut);
        assert!(tokens.of("shop", fails).await.is_ok(), "it takes the request over");
    }

    #[test]
    fn an_answer_gives_a_token_or_refuses_it_or_proves_nothing() {
        let blame = |body: &str| {
            read(false, 401, body.as_bytes()).map(|fetched| fetched.err().unwrap().blame)
        };
        assert_eq!(blame(r#"{"error":"invalid_client"}"#), Some(Blame::Access));
        assert_eq!(blame(r#"{"error":"temporarily_unavailable"}"#), None);
        assert_eq!(blame("<html>"), None);
        assert!(read(true, 200, b"{}").is_none());
        assert!(read(true, 200, b"<html>").is_none());
        // A token of another type, or one that is invalid in a header.
        for unfit in [
            r#"{"access_token":"a","token_type":"DPoP"}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a\r\nX: y"}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"a","access_token":"b"}"#,
        ] {
            assert!(read(true, 200, unfit.as_bytes()).is_none(), "{unfit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_life_is_a_number_or_a_text_and_no_longer_than_a_day() {
        let lasts = |life: &str| {
            let body =
                format!(r#"{{"access_token":"a","token_type":"bearer","expires_in":{life}}}"#);
            let token = read(true, 200, body.as_bytes()).unwrap().ok().unwrap();
            (token.until - Instant::now()).as_secs()
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
}
