//! Access tokens for calls with a bearer token, fetched with a client's own credentials: RFC 6749, section 4.4.
//!
//! One request fetches a token for all waiting calls. They share one future, so no lock is held meanwhile and no
//! detached task runs. Shortly before a token expires, one call renews it, and the others still use the old one. If the
//! renewal fails, the old token is used until its expiry.

use std::{
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::basic::bearer;
use crate::domain::{Blame, Failure, FailureClass, ResultLabel, without_mark};

/// The time for which a token without a lifetime is used.
const LIFETIME: Duration = Duration::from_secs(300);

/// A token is renewed this long before its expiry. For a short lifetime, the margin is a quarter of it.
const MARGIN: Duration = Duration::from_secs(30);

/// The longest accepted lifetime.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait after a failed renewal, while the old token is valid.
const RENEW_AGAIN: Duration = Duration::from_secs(5);

/// A token, or the failure of fetching it.
pub(super) type Fetched = Result<AccessToken, Failure>;

type Fetching = Shared<BoxFuture<'static, Fetched>>;

/// A token and its expiry.
#[derive(Clone)]
pub(super) struct AccessToken {
    pub(super) token: Arc<SecretString>,
    renew_from: Instant,
    until: Instant,
}

/// The tokens of all clients.
#[derive(Default)]
pub(super) struct AccessTokens(Mutex<HashMap<String, ClientAccess>>);

/// The token of one client.
struct ClientAccess {
    /// The secret that the token was fetched with. A new secret needs a new token.
    secret: Arc<SecretString>,
    /// The last token, which may have expired.
    token: Option<AccessToken>,
    fetching: Option<Fetching>,
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens").finish_non_exhaustive()
    }
}

impl AccessTokens {
    /// Returns the token of a client with this secret. `fetch` gets a new one if there is no valid one.
    pub(super) async fn of<F>(
        &self,
        client_id: &str,
        secret: &Arc<SecretString>,
        fetch: impl FnOnce() -> F,
    ) -> Fetched
    where
        F: Future<Output = Fetched> + Send + 'static,
    {
        let (fetching, old) = {
            let mut tokens = self.tokens();
            let access = access(&mut tokens, client_id, secret);
            let old = access.token.clone().filter(AccessToken::lasts);
            let renewed_by_others = access.fetching.as_ref().is_some_and(is_driven);
            match old {
                Some(old) if renewed_by_others || Instant::now() < old.renew_from => {
                    return Ok(old);
                }
                old => (access.fetching.get_or_insert_with(|| shared(fetch())).clone(), old),
            }
        };
        let fetched = fetching.clone().await;
        self.ended(client_id, &fetching, &fetched);
        fetched.or_else(|failure| old.filter(AccessToken::lasts).ok_or(failure))
    }

    /// Forgets the token of a client after the endpoint refused it.
    pub(super) fn forget(&self, client_id: &str, refused: &Arc<SecretString>) {
        if let Some(access) = self.tokens().get_mut(client_id) {
            access.token.take_if(|known| Arc::ptr_eq(&known.token, refused));
        }
    }

    /// Stores the fetched token, for the first of the waiting calls. After a failure, the next call fetches again.
    /// While the old token is valid, it does so only after a wait.
    fn ended(&self, client_id: &str, fetching: &Fetching, fetched: &Fetched) {
        let mut tokens = self.tokens();
        let Some(access) = tokens.get_mut(client_id) else { return };
        if access.fetching.take_if(|known| known.ptr_eq(fetching)).is_none() {
            return;
        }
        match (fetched, &mut access.token) {
            (Ok(token), known) => *known = Some(token.clone()),
            (Err(_), Some(old)) => old.renew_from = Instant::now() + RENEW_AGAIN,
            (Err(_), None) => {}
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, ClientAccess>> {
        // A poisoned lock is usable: each field is replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the entry of a client: a new one after a change of its secret.
fn access<'a>(
    tokens: &'a mut HashMap<String, ClientAccess>,
    client_id: &str,
    secret: &Arc<SecretString>,
) -> &'a mut ClientAccess {
    let new = || ClientAccess { secret: Arc::clone(secret), token: None, fetching: None };
    let access = tokens.entry(client_id.to_owned()).or_insert_with(new);
    // Each reload makes new pointers to the same secrets.
    if access.secret.expose_secret() != secret.expose_secret() {
        *access = new();
    }
    access
}

/// A request for many calls. A panic in it becomes a failure. Otherwise each call that polls the request would panic.
fn shared(fetch: impl Future<Output = Fetched> + Send + 'static) -> Fetching {
    let panicked = Failure {
        class: FailureClass::NotSent,
        blame: Blame::Access,
        ..Failure::unanswered(ResultLabel::Connect, false)
    };
    let fetched = AssertUnwindSafe(fetch).catch_unwind();
    fetched.map(move |ended| ended.unwrap_or(Err(panicked))).boxed().shared()
}

/// Whether a call waits for this request, and so polls it.
fn is_driven(fetching: &Fetching) -> bool {
    fetching.strong_count() > Some(1)
}

impl AccessToken {
    /// A token with this lifetime, which was requested at `began`.
    fn new(token: SecretString, began: Instant, life: Duration) -> Self {
        let until = began + life;
        Self { token: Arc::new(token), renew_from: until - MARGIN.min(life / 4), until }
    }

    fn lasts(&self) -> bool {
        Instant::now() < self.until
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
/// The lifetime of a token starts at `began`, the time of the request. A byte order mark before the JSON is ignored.
pub(super) fn read(
    is_success: bool,
    http_status: u16,
    body: &[u8],
    began: Instant,
) -> Option<Fetched> {
    let size = Some(body.len());
    let body = without_mark(body);
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
        return Some(Ok(AccessToken::new(token, began, asked)));
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
        http_status: Some(http_status),
        size,
        blame: Blame::Access,
        ..Failure::unanswered(ResultLabel::Misconfigured, false)
    }))
}

#[cfg(test)]
mod tests;
