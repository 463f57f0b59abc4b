//! The endpoint fails the calls of one client, or a few calls, and answers the others.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::{
    chaos::{
        Area, Case, Ending, Evidence, Plan, endpoint::fault::pausing_soon, expected::REJECTED,
        sized,
    },
    harness::{Answer, Call, Endpoint, Gate, INTERACTIVE, Message, Stage, canary, token},
};

/// The client whose calls fail.
const BROKEN: &str = "broken";

/// A client whose calls are answered.
const HEALTHY: &str = "healthy";

fn is_broken(call: &Call) -> bool {
    call.request.json()["client_id"] == BROKEN
}

/// A case with both clients. Calls for which `fails` returns true get `failure` until the gate opens.
async fn begin(
    plan: Plan,
    fails: fn(&Call) -> bool,
    failure: Answer,
    mended: &Gate,
) -> (Case, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for client in [BROKEN, HEALTHY] {
        fs::write(folder.path().join(client), canary::SECRET).unwrap();
    }
    let open = mended.clone();
    let mut case = plan
        .begin_on(Stage::new().await, async move |script| {
            Endpoint::start(move |call| {
                if !open.is_open() && fails(call) { failure.clone() } else { script.answer(call) }
            })
            .await
        })
        .await;
    case.launch = pausing_soon(case.launch)
        .set("credentials.directory", folder.path().display())
        .set("flow.concurrency.adaptive", true);
    (case, folder)
}

/// Publishes this many jobs of a client, with tokens from `first` on.
async fn publish(case: &mut Case, client: &str, first: usize, count: usize) {
    for n in first..first + count {
        let body = json!({ "refresh_token": token(n), "client_id": client });
        let ending = if case.script.always_rejects(&token(n)) { REJECTED } else { Ending::Revoked };
        case.publish_own(INTERACTIVE, Message::new(body.to_string()), &token(n), ending).await;
    }
}

/// The number of verdicts.
fn verdicts(endpoint: &Endpoint) -> usize {
    use crate::harness::AnswerKind;
    endpoint.told(AnswerKind::Revoked).len() + endpoint.told(AnswerKind::Rejected).len()
}

/// The broken client's jobs precede those of the healthy one, which are done nevertheless.
async fn the_other_is_served(fault: &'static str, failure: Answer, timeout: &str) {
    let (failing, healthy) = (sized(200, 1_000), 50);
    let mended = Gate::default();
    let plan = Plan::new(Area::Endpoint, fault).jobs(failing + healthy).prefetch(512);
    let (mut case, _secrets) = begin(plan, is_broken, failure, &mended).await;
    case.launch =
        case.launch.set("endpoint.timeout", timeout).set("endpoint.connect_timeout", "1s");
    publish(&mut case, BROKEN, 0, failing).await;
    publish(&mut case, HEALTHY, failing, healthy).await;
    let worker = case.ready().await;
    crate::harness::eventually("the healthy client's verdicts", async || {
        match verdicts(&case.endpoint) {
            told if told == healthy => Ok(()),
            told => Err(format!("{told}")),
        }
    })
    .await;
    let failed = case.endpoint.count() - healthy;
    let pauses = worker.until_log_lines("client paused", 1).await.len();
    assert!(worker.said("paused").is_empty(), "the worker as a whole was paused");
    mended.open();
    let evidence = Evidence::of(failed, "failed calls before the other client was done")
        .and(pauses, "pauses of the client");
    // A call that exceeds its time limit may have revoked its token.
    let bound = case.in_flight_at(1);
    case.close([worker], evidence, bound).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_answered_502() {
    the_other_is_served("one client is always answered 502", Answer::status(502), "10m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_answered_429() {
    the_other_is_served("one client is always answered 429", Answer::status(429), "10m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_whose_calls_hang() {
    the_other_is_served("all calls of one client hang", Answer::Never, "1s").await;
}

/// Whether the call is for one of the first ten tokens.
fn is_among_the_first(call: &Call) -> bool {
    (0..10).map(token).any(|token| token == call.token)
}

/// The first ten calls hang until all other jobs are done.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_calls_hang() {
    let jobs = sized(200, 5_000);
    let mended = Gate::default();
    let plan = Plan::new(Area::Endpoint, "the first ten calls hang").jobs(jobs).prefetch(512);
    let (mut case, _secrets) = begin(plan, is_among_the_first, Answer::Never, &mended).await;
    case.launch = case
        .launch
        .set("endpoint.timeout", "5s")
        .set("endpoint.connect_timeout", "5s")
        .set("flow.pause.after_failures", 1_000);
    publish(&mut case, HEALTHY, 0, jobs).await;
    let worker = case.ready().await;
    crate::harness::eventually("the verdicts of the others", async || {
        match verdicts(&case.endpoint) {
            told if told == jobs - 10 => Ok(()),
            told => Err(format!("{told}")),
        }
    })
    .await;
    let hung = (0..10).filter(|n| !case.endpoint.of(&token(*n)).is_empty()).count();
    mended.open();
    let bound = case.in_flight_at(1);
    case.close([worker], Evidence::of(hung, "tokens whose calls hung"), bound).await;
}

/// Copies of one token whose call hangs precede the other jobs.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_token_whose_call_hangs() {
    let (copies, others) = (600, sized(200, 5_000));
    let mended = Gate::default();
    let plan = Plan::new(Area::Endpoint, "600 copies of one token whose call hangs")
        .jobs(copies + others)
        .prefetch(512);
    let (mut case, _secrets) =
        begin(plan, |call| call.token == token(0), Answer::Never, &mended).await;
    case.launch = case
        .launch
        .set("endpoint.timeout", "5s")
        .set("endpoint.connect_timeout", "5s")
        .set("flow.pause.after_failures", 1_000);
    let ending = if case.script.always_rejects(&token(0)) { REJECTED } else { Ending::Revoked };
    for _ in 0..copies {
        let body = json!({ "refresh_token": token(0), "client_id": HEALTHY });
        case.publish_own(INTERACTIVE, Message::new(body.to_string()), &token(0), ending).await;
    }
    publish(&mut case, HEALTHY, 1, others).await;
    let worker = case.ready().await;
    crate::harness::eventually("the verdicts of the others", async || {
        match verdicts(&case.endpoint) {
            told if told == others => Ok(()),
            told => Err(format!("{told}")),
        }
    })
    .await;
    let hung = case.endpoint.of(&token(0)).len();
    mended.open();
    let bound = case.in_flight_at(1);
    case.close([worker], Evidence::of(hung, "calls that hung"), bound).await;
}
