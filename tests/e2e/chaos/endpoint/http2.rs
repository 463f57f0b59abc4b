//! HTTP/2, where one connection carries every call.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    chaos::Evidence,
    chaos::{Area, Case, Plan, sized},
    harness::{Answer, Endpoint, Stage, pki::Authority},
};

/// One call in this many gets the fault.
const ONE_OF: usize = 10;

/// A case over HTTP/2 in which `fault` is the answer to one call of [`ONE_OF`], this many times; returns the counter of
/// these calls.
async fn over_http2(
    name: &'static str,
    fault: fn() -> Answer,
    times: usize,
) -> (Case, Authority, Arc<AtomicUsize>) {
    let authority = Authority::new();
    let tls = authority.identity(&["127.0.0.1"]).server();
    let fired = Arc::new(AtomicUsize::new(0));
    let (counted, calls) = (fired.clone(), AtomicUsize::new(0));
    let mut case = Plan::new(Area::Endpoint, name)
        .jobs(sized(300, 5_000))
        .begin_on(Stage::new().await, async move |script| {
            Endpoint::start_http2(tls, move |call| {
                let nth = calls.fetch_add(1, Ordering::SeqCst);
                if nth % ONE_OF == ONE_OF - 1 && counted.load(Ordering::SeqCst) < times {
                    counted.fetch_add(1, Ordering::SeqCst);
                    return fault();
                }
                script.answer(call)
            })
            .await
        })
        .await;
    case.launch = case
        .launch
        .set("endpoint.http2", true)
        .set("endpoint.ca_file", authority.ca_file().display())
        .set("retry.max", "200ms");
    case.publish_all().await;
    (case, authority, fired)
}

/// The connection is closed with all of its calls. Their tokens may be revoked, and are called again.
#[tokio::test(flavor = "multi_thread")]
async fn goaway() {
    let times = sized(10, 100);
    let (mut case, _authority, fired) =
        over_http2("HTTP/2: GOAWAY under way", || Answer::GoAway, times).await;
    let worker = case.ready().await;
    worker.until_metrics("broken calls", |metrics| metrics.calls("reset") >= times).await;
    // Failed calls are made again, on a new connection.
    case.until_settled(&[&worker]).await;
    let (connections, sent_away) = (case.endpoint.connections(), case.endpoint.sent_away());
    assert!(connections > sent_away, "{connections} connections, {sent_away} of them sent away");
    let evidence = Evidence::of(sent_away, "connections sent away")
        .and(fired.load(Ordering::SeqCst), "calls that asked for it")
        .and(worker.metrics().await.calls("reset"), "calls that ended as `reset`");
    let bound = case.in_flight_at(times);
    case.close([worker], evidence, bound).await;
}

/// Streams are refused unprocessed. The worker itself repeats the calls, not a library, so each attempt is counted.
#[tokio::test(flavor = "multi_thread")]
async fn refused_streams() {
    let times = sized(25, 400);
    let (mut case, _authority, fired) =
        over_http2("HTTP/2: REFUSED_STREAM", || Answer::Refuse, times).await;
    let worker = case.ready().await;
    let all = case.part(1.0);
    let metrics = worker
        .until_metrics("every job to end", |metrics| {
            metrics.sum("revocations_processed_total") == all
        })
        .await;
    let counted = metrics.sum("endpoint_calls_total");
    assert_eq!(counted, case.endpoint.count(), "attempts that nobody counted");
    let evidence = Evidence::of(fired.load(Ordering::SeqCst), "streams refused")
        .and(metrics.calls("reset"), "calls that ended as `reset`");
    case.close([worker], evidence, 0).await;
}
