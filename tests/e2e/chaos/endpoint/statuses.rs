//! Statuses without an envelope, as a gateway sends them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::EndpointFault;
use crate::{
    chaos::{Area, Evidence, Plan, sized},
    harness::{Answer, AnswerKind, Endpoint, Stage},
};

/// Statuses of redirects.
const REDIRECTS: [u16; 4] = [301, 302, 307, 308];

pub const UNAUTHORIZED: EndpointFault =
    EndpointFault { fault: "401 for all", answer: |_| Answer::status(401), result: "http_4xx" };
pub const FORBIDDEN: EndpointFault =
    EndpointFault { fault: "403 for all", answer: |_| Answer::status(403), result: "http_4xx" };
pub const UNAVAILABLE: EndpointFault =
    EndpointFault { fault: "503 for all", answer: |_| Answer::status(503), result: "http_5xx" };

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn unauthorized() {
    UNAUTHORIZED.outlast().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn forbidden() {
    FORBIDDEN.outlast().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn unavailable() {
    UNAVAILABLE.outlast().await;
}

/// Nine of ten calls get 429 during the fault. No job stops: the limit falls, and permitted calls continue.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_429() {
    let (jobs, refusals) = sized((300, 100), (5_000, 5_000));
    let refused = Arc::new(AtomicUsize::new(0));
    let (calls, counted) = (AtomicUsize::new(0), refused.clone());
    let mut case = Plan::new(Area::Endpoint, "429 storm")
        .jobs(jobs)
        .prefetch(128)
        .begin_on(Stage::new().await, async move |script| {
            Endpoint::start(move |call| {
                let nth = calls.fetch_add(1, Ordering::SeqCst);
                if nth % 10 != 0 && counted.load(Ordering::SeqCst) < refusals {
                    counted.fetch_add(1, Ordering::SeqCst);
                    return Answer::status(429).with_header("retry-after", &0);
                }
                script.answer(call)
            })
            .await
        })
        .await;
    case.launch = case.launch.set("flow.concurrency.adaptive", true).set("retry.max", "200ms");
    case.publish_all().await;
    let worker = case.ready().await;
    let metrics = worker
        .until_metrics("the storm to be over", |metrics| metrics.calls("http_429") >= refusals)
        .await;
    let evidence = Evidence::of(refused.load(Ordering::SeqCst), "calls answered 429")
        .and(metrics.calls("http_429"), "of them counted by the worker");
    case.close([worker], evidence, 0).await;
}

/// Redirects of all kinds to a host that would steal the token.
#[tokio::test(flavor = "multi_thread")]
async fn redirects_to_another_host() {
    let other = Endpoint::willing().await;
    let target = other.url().to_owned();
    let told: Arc<[AtomicUsize; REDIRECTS.len()]> = Arc::default();
    let (counts, rounds) = (told.clone(), sized(10, 100));
    let mut case = Plan::new(Area::Endpoint, "301, 302, 307 and 308 to another host")
        .jobs(sized(300, 5_000))
        .begin_on(Stage::new().await, async move |script| {
            let calls = AtomicUsize::new(0);
            Endpoint::start(move |call| {
                let nth = calls.fetch_add(1, Ordering::SeqCst);
                if nth >= rounds * REDIRECTS.len() {
                    return script.answer(call);
                }
                counts[nth % REDIRECTS.len()].fetch_add(1, Ordering::SeqCst);
                Answer::redirect(&target).with_status(REDIRECTS[nth % REDIRECTS.len()])
            })
            .await
        })
        .await;
    case.launch = case.launch.set("retry.max", "200ms");
    case.publish_all().await;
    let worker = case.ready().await;
    let redirected = rounds * REDIRECTS.len();
    worker.until_metrics("the redirects", |metrics| metrics.calls("http_3xx") == redirected).await;
    let evidence = REDIRECTS.iter().zip(&*told).fold(
        Evidence::of(redirected, "calls that ended as `http_3xx`"),
        |evidence, (status, told)| {
            evidence.and(told.load(Ordering::SeqCst), &format!("of them by {status}"))
        },
    );
    case.close([worker], evidence, 0).await;
    assert_eq!(other.connections(), 0, "the other host was called");
    assert!(other.told(AnswerKind::Revoked).is_empty());
}
