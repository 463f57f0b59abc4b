//! All responses that prove nothing, one kind after the other, for one worker.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    EndpointFault,
    bodies::{EMPTY, HTML, UNKNOWN},
    memory::{BOMB, ENDLESS},
    sockets::RESETS,
    statuses::{FORBIDDEN, UNAUTHORIZED, UNAVAILABLE},
};
use crate::{
    chaos::{Area, Evidence, Plan, sized},
    harness::{Endpoint, Stage, scrape::Scrape},
};

const FAULTS: [EndpointFault; 9] =
    [UNAUTHORIZED, FORBIDDEN, UNAVAILABLE, EMPTY, HTML, UNKNOWN, ENDLESS, BOMB, RESETS];

/// Each fault lasts for a number of calls, and the next follows at once.
#[tokio::test(flavor = "multi_thread")]
async fn one_fault_after_the_other() {
    let (jobs, each) = sized((300, 12), (5_000, 200));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let mut case = Plan::new(Area::Endpoint, "one fault after the other")
        .jobs(jobs)
        .begin_on(Stage::new().await, async move |script| {
            Endpoint::start(move |call| {
                let nth = counted.fetch_add(1, Ordering::SeqCst);
                match FAULTS.get(nth / each) {
                    Some(fault) => (fault.answer)(call),
                    None => script.answer(call),
                }
            })
            .await
        })
        .await;
    case.launch = case.launch.set("retry.max", "200ms");
    case.publish_all().await;
    let worker = case.ready().await;
    case.endpoint.until_count(FAULTS.len() * each).await;
    let met = FAULTS.len() * each;
    let failed = |metrics: &Scrape| {
        let proved = ["revoked", "rejected"].map(|result| metrics.calls(result));
        metrics.sum("endpoint_calls_total") - proved.iter().sum::<usize>()
    };
    let metrics = worker.until_metrics("every fault", |metrics| failed(metrics) >= met).await;
    let results: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.result).collect();
    let evidence = results.iter().fold(
        Evidence::of(FAULTS.len(), &format!("faults of {each} calls each")),
        |evidence, result| evidence.and(metrics.calls(result), &format!("`{result}`")),
    );
    case.close([worker], evidence, 0).await;
}
