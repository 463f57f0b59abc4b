//! Tests of requested and resulting delays of `Retry-After`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    chaos::{Area, Evidence, Plan, sized},
    harness::{Answer, Endpoint, Stage},
};

/// Calls that are answered 503. All of them must fit into memory, because a parked job returns when its delay
/// is over.
const UNAVAILABLE: usize = 20;
const PREFETCH: usize = 4 * UNAVAILABLE;

/// The first calls are answered 503 with `wish`. None of their jobs returns before `least`, with the limit `most`.
async fn a_wish(fault: &'static str, wish: &'static str, most: &str, least: Duration) {
    let told: Arc<Mutex<BTreeMap<String, Instant>>> = Arc::default();
    let (tell, calls) = (told.clone(), AtomicUsize::new(0));
    let mut case = Plan::new(Area::Endpoint, fault)
        .jobs(sized(200, 2_000))
        .prefetch(PREFETCH)
        .begin_on(Stage::new().await, async move |script| {
            Endpoint::start(move |call| {
                if calls.fetch_add(1, Ordering::SeqCst) >= UNAVAILABLE {
                    return script.answer(call);
                }
                // On a slow machine, one of the first jobs may be called again: its first answer counts.
                tell.lock().unwrap().entry(call.token.clone()).or_insert_with(Instant::now);
                Answer::status(503).with_header("retry-after", &wish)
            })
            .await
        })
        .await;
    case.launch = case.launch.set("retry.retry_after_max", most);
    case.publish_all().await;
    let worker = case.ready().await;
    worker.until_metrics("the refusals", |metrics| metrics.calls("http_5xx") == UNAVAILABLE).await;
    let told = told.lock().unwrap().clone();
    let endpoint = &case.endpoint;
    endpoint
        .until("every refused job to come again", |calls| {
            told.keys().all(|token| calls.iter().filter(|call| call.token == **token).count() > 1)
        })
        .await;
    for (token, told) in &told {
        let again = endpoint.of(token)[1].arrived - *told;
        assert!(again >= least, "{fault}: called again after {again:?}");
    }
    let evidence = Evidence::of(UNAVAILABLE, "calls answered 503")
        .and(told.len(), "jobs that returned, none too early");
    case.close([worker], evidence, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for what was wished for: part of make chaos"]
async fn five_seconds() {
    a_wish("503 with `Retry-After: 5`", "5", "5m", Duration::from_secs(5)).await;
}

/// A delay of a day is cut to the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_day() {
    a_wish("503 with `Retry-After: 86400`", "86400", "2s", Duration::from_secs(2)).await;
}

/// An invalid value is ignored. If it counted as a long delay, the case would hang.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense() {
    a_wish("503 with a `Retry-After` of nonsense", "-1e9 soon", "10m", Duration::ZERO).await;
}
