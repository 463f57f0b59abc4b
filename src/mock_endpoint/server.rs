//! The HTTP server of the mock: it follows a script and keeps a ledger.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{self, RevokeCall},
    connection::{ResetSwitch, ResettableListener},
    ledger::{CallResult, Ledger, LedgerTotals, TokenTotals},
    outage::{self, OutageTimer},
    script::{CallPlan, ResetPoint, Script},
};
use crate::{admin::Readiness, domain::Fingerprint, endpoint::SampleOf};

/// How long a stop waits for clients that neither finish a request nor disconnect.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A running mock endpoint. It stops when it is dropped.
#[derive(Debug)]
pub struct MockEndpoint {
    addr: SocketAddr,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct MockState {
    script: Arc<Script>,
    ledger: Arc<Ledger>,
    outage: Arc<OutageTimer>,
    stop: CancellationToken,
}

impl MockEndpoint {
    /// Listens at `addr`, port 0 for any, and follows `script`.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub async fn start(script: Script, addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let state = MockState {
            script: Arc::new(script),
            ledger: Arc::default(),
            outage: Arc::default(),
            stop: CancellationToken::new(),
        };
        let (ledger, stop) = (Arc::clone(&state.ledger), state.stop.clone());
        let router = Router::new()
            .route("/ledger", get(show_ledger).post(revoke))
            .route("/healthz", get(|| async { "ok" }).post(revoke))
            .route("/readyz", get(ready).post(revoke))
            .fallback_service(post(revoke).delete(revoke).with_state(state.clone()))
            .with_state(state)
            .into_make_service_with_connect_info::<ResetSwitch>();
        let server = axum::serve(ResettableListener(listener), router)
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move {
            // It never ends with an error: it accepts until it is stopped.
            let _ = server.await;
        });
        Ok(Self { addr, ledger, stop, server })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the URL to call. Any other path works too.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/revoke", self.addr)
    }

    /// Returns its ledger.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Stops listening, resets the calls in flight and waits until all connections are closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for MockEndpoint {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Handles the revoke call. The token is revoked on arrival, and the answer leaves after the latency. A client
/// that has disconnected by then does not undo it.
async fn revoke(
    State(state): State<MockState>,
    ConnectInfo(reset): ConnectInfo<ResetSwitch>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let MockState { script, ledger, outage, stop } = &state;
    let open = ledger.enter();
    if outage.covers(script.outage, open.number) {
        ledger.end(None, CallResult::Fault, true);
        return answer::canned(script, &outage::page());
    }
    let Some(call) = RevokeCall::parse(script, &headers, &body) else {
        ledger.end(None, CallResult::Rejected, true);
        return answer::malformed(script);
    };
    let token = Fingerprint::of(&call.refresh_token);
    let plan = script.plan(token, ledger.count_call(token));
    let throttled = script.max_parallel.is_some_and(|max| open.parallel > max);
    let wanted = if throttled { CallResult::Throttled } else { wanted(script, &call, &plan) };
    let result = ledger.end(Some(token), wanted, script.is_idempotent());

    let answer = match (result, &script.canned) {
        (CallResult::Throttled, _) => return answer::throttled(script),
        (CallResult::Revoked, _) => Some(answer::revoked(script, &call)),
        (CallResult::Rejected, _) => {
            Some(answer::rejected(script, &call, rejection(script, &call, wanted)))
        }
        (CallResult::Fault, Some(canned)) if plan.fault.is_none() => {
            Some(answer::canned(script, canned))
        }
        (CallResult::Fault | CallResult::RevokedUnanswered, _) => None,
    };
    let stopped = !plan.delay.is_zero()
        && stop.run_until_cancelled(tokio::time::sleep(plan.delay)).await.is_none();
    match answer {
        Some(answer) if !stopped => {
            if result == CallResult::Revoked {
                ledger.prove(token);
            }
            answer
        }
        _ => {
            reset.set();
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

/// Returns the result that the script plans. A reset connection comes first, then a canned answer, then the
/// check of the client, and the token last.
fn wanted(script: &Script, call: &RevokeCall, plan: &CallPlan) -> CallResult {
    let refused = plan.reject
        || script.always_rejects(&call.refresh_token)
        || !script.accepts_client(&call.client_id, &call.client_secret);
    match plan.fault {
        Some(ResetPoint::Before) => CallResult::Fault,
        _ if script.canned.is_some() => CallResult::Fault,
        Some(ResetPoint::After) if refused => CallResult::Fault,
        Some(ResetPoint::After) => CallResult::RevokedUnanswered,
        None if refused => CallResult::Rejected,
        None => CallResult::Revoked,
    }
}

/// Returns the cause of a rejection: the client, the token, or an earlier revocation.
fn rejection(script: &Script, call: &RevokeCall, wanted: CallResult) -> SampleOf {
    if !script.accepts_client(&call.client_id, &call.client_secret) {
        SampleOf::Refusal
    } else if wanted == CallResult::Rejected {
        SampleOf::Rejection
    } else {
        SampleOf::Repeat
    }
}

#[derive(Serialize)]
struct LedgerPage {
    #[serde(flatten)]
    totals: LedgerTotals,
    /// By fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<BTreeMap<String, TokenTotals>>,
}

/// Handles `GET /readyz` for `revoker healthcheck`, which the image runs for every command.
async fn ready() -> Json<Readiness> {
    Json(Readiness::of([]))
}

/// Handles `GET /ledger`, and `GET /ledger?summary` without the tokens.
async fn show_ledger(State(state): State<MockState>, uri: Uri) -> Json<LedgerPage> {
    let named = |(token, totals): (Fingerprint, _)| (token.to_string(), totals);
    let tokens = (uri.query() != Some("summary"))
        .then(|| state.ledger.tokens().into_iter().map(named).collect());
    Json(LedgerPage { totals: state.ledger.totals(), tokens })
}

#[cfg(test)]
mod tests;
