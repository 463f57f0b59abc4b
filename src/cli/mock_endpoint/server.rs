//! The stand-in itself: an HTTP server that plays a script and keeps a ledger.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{self, Call},
    ledger::{Ending, Ledger, TokenTotals, Totals},
    outage::{self, Course},
    script::{Fault, Plan, Script},
    wire::{Wire, WireListener},
};
use crate::{admin::Readiness, domain::Fingerprint};

/// How long stopping waits for clients that neither finish a request nor leave.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A stand-in under way. It stops when it is dropped.
#[derive(Debug)]
pub struct MockEndpoint {
    addr: SocketAddr,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Stage {
    script: Arc<Script>,
    ledger: Arc<Ledger>,
    outage: Arc<Course>,
    stop: CancellationToken,
}

impl MockEndpoint {
    /// Listens at `addr`, port 0 for any, and plays `script`.
    ///
    /// # Errors
    ///
    /// The address cannot be listened at.
    pub async fn start(script: Script, addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let stage = Stage {
            script: Arc::new(script),
            ledger: Arc::default(),
            outage: Arc::default(),
            stop: CancellationToken::new(),
        };
        let (ledger, stop) = (Arc::clone(&stage.ledger), stage.stop.clone());
        let router = Router::new()
            .route("/ledger", get(show_ledger).post(revoke))
            .route("/healthz", get(|| async { "ok" }).post(revoke))
            .route("/readyz", get(ready).post(revoke))
            .fallback_service(post(revoke).with_state(stage.clone()))
            .with_state(stage)
            .into_make_service_with_connect_info::<Wire>();
        let server = axum::serve(WireListener(listener), router)
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move {
            // It never ends with an error: it goes on accepting until it is stopped.
            let _ = server.await;
        });
        Ok(Self { addr, ledger, stop, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL to call; any other path does as well.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/revoke", self.addr)
    }

    /// What it has seen and done.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Stops listening, resets the calls under way and waits until all is closed.
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

/// The revoke call. What it does to the token it does on arrival; the answer comes after the delay, as
/// that of a slow server would, and a client that has left by then does not undo it.
async fn revoke(
    State(stage): State<Stage>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    body: Bytes,
) -> Response {
    let Stage { script, ledger, outage, stop } = &stage;
    let place = ledger.enter();
    if outage.meets(script.outage, place.call) {
        ledger.end(None, Ending::Fault, true);
        return answer::canned(script, &outage::page());
    }
    let Some(call) = Call::parse(&body) else {
        ledger.end(None, Ending::Rejected, true);
        return answer::malformed();
    };
    let token = Fingerprint::of(&call.refresh_token);
    let plan = script.plan(token, ledger.visit(token));
    let throttled = script.max_parallel.is_some_and(|max| place.number > max);
    let wanted = if throttled { Ending::Throttled } else { wanted(script, &call, &plan) };
    let ending = ledger.end(Some(token), wanted, script.idempotent);

    let answer = match (ending, &script.canned) {
        (Ending::Throttled, _) => return answer::throttled(script),
        (Ending::Revoked, _) => Some(answer::revoked(script, &call)),
        (Ending::Rejected, _) => Some(answer::rejected(script, &call)),
        (Ending::Fault, Some(canned)) if plan.fault.is_none() => {
            Some(answer::canned(script, canned))
        }
        (Ending::Fault | Ending::RevokedUnanswered, _) => None,
    };
    let stopped = !plan.delay.is_zero()
        && stop.run_until_cancelled(tokio::time::sleep(plan.delay)).await.is_none();
    match answer {
        Some(answer) if !stopped => {
            if ending == Ending::Revoked {
                ledger.prove(token);
            }
            answer
        }
        _ => {
            wire.cut();
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

/// What the script wants to become of a call, first come first: a broken network hides everything, a
/// canned answer the endpoint, and the endpoint asks who calls before it looks at the token.
fn wanted(script: &Script, call: &Call, plan: &Plan) -> Ending {
    let refused = plan.reject
        || script.condemns(&call.refresh_token)
        || !script.welcomes(&call.client_id, &call.client_secret);
    match plan.fault {
        Some(Fault::Before) => Ending::Fault,
        _ if script.canned.is_some() => Ending::Fault,
        Some(Fault::After) if refused => Ending::Fault,
        Some(Fault::After) => Ending::RevokedUnanswered,
        None if refused => Ending::Rejected,
        None => Ending::Revoked,
    }
}

/// The ledger as JSON.
#[derive(Serialize)]
struct LedgerPage {
    #[serde(flatten)]
    totals: Totals,
    /// By fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<BTreeMap<String, TokenTotals>>,
}

/// `GET /readyz`: what `revoker healthcheck` asks, the health check of the image in every role.
async fn ready() -> Json<Readiness> {
    Json(Readiness::of([]))
}

/// `GET /ledger`, and `GET /ledger?summary` without the tokens.
async fn show_ledger(State(stage): State<Stage>, uri: Uri) -> Json<LedgerPage> {
    let tokens = (uri.query() != Some("summary")).then(|| {
        stage
            .ledger
            .tokens()
            .into_iter()
            .map(|(token, totals)| (token.to_string(), totals))
            .collect()
    });
    Json(LedgerPage { totals: stage.ledger.totals(), tokens })
}

#[cfg(test)]
mod tests;
