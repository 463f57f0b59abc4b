//! Permits for which several lanes and clients compete.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Clients, HEALTHY, job};
use crate::harness::{Answer, BULK, Endpoint, Gate, INTERACTIVE, scrape::Scrape};

/// The numbers of the tokens that were called for, in the order of the calls.
fn called(endpoint: &Endpoint) -> Vec<usize> {
    let number = |token: String| token.rsplit('-').next().unwrap().parse().unwrap();
    endpoint.calls().into_iter().map(|call| number(call.token)).collect()
}

fn delivered(lane: &str, count: usize) -> impl Fn(&Scrape) -> bool {
    let series = ["true", "false"]
        .map(|again| format!("deliveries_total{{lane=\"{lane}\",redelivered=\"{again}\"}}"));
    move |metrics| series.iter().map(|series| metrics.value(series)).sum::<usize>() >= count
}

/// Three hundred jobs of one client and twenty of another are in flight in one lane. The twenty get every
/// second place.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_one_client_does_not_stand_before_another_once_both_are_in_flight() {
    const MANY: usize = 300;
    const FEW: usize = 20;
    const PLACES: usize = 4;
    let clients = Clients::new().await;
    let gate = Gate::default();
    let open = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::revoked().after(&open)).await;
    let stage = &clients.stage;
    stage.amqp.publish_all(BULK, (0..MANY).map(|n| job(HEALTHY[0], n))).await;
    stage.amqp.publish_all(BULK, (MANY..MANY + FEW).map(|n| job(HEALTHY[1], n))).await;
    let worker = clients
        .launch(&endpoint)
        // Jobs that are counted as delivered wait for their turn.
        .on_one_thread()
        .set("flow.concurrency.adaptive", false)
        .set("flow.concurrency.max", PLACES)
        .ready()
        .await;
    worker.until_metrics("all in flight", delivered("bulk", MANY + FEW)).await;
    gate.open();
    worker.until_processed("revoked", MANY + FEW).await;
    worker.stop().await;
    let called = called(&endpoint);
    let last = called.iter().rposition(|n| *n >= MANY).unwrap();
    assert!(last < PLACES + 2 * FEW + PLACES, "the last of the twenty was call {last}");
}

/// After an outage bulk jobs fill their lane and hold every place. Logouts are delivered nevertheless, and their calls
/// are next.
#[tokio::test(flavor = "multi_thread")]
async fn logouts_after_an_outage_do_not_wait_behind_the_bulk_jobs_in_flight() {
    const BULK_JOBS: usize = 200;
    const LOGOUTS: usize = 5;
    const PLACES: usize = 2;
    let clients = Clients::new().await;
    let (mended, gate) = (Gate::default(), Gate::default());
    let (up, open) = (mended.clone(), gate.clone());
    let answered = AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |_| {
        if !up.is_open() {
            Answer::status(503)
        } else if answered.fetch_add(1, Ordering::SeqCst) == 0 {
            // The probe ends the pause.
            Answer::revoked()
        } else {
            Answer::revoked().after(&open)
        }
    })
    .await;
    let stage = &clients.stage;
    stage.amqp.publish_all(BULK, (0..BULK_JOBS).map(|n| job(HEALTHY[n % 2], n))).await;
    let worker = clients
        .launch(&endpoint)
        .on_one_thread()
        .set("broker.prefetch", BULK_JOBS)
        // The bulk lane's minimum share would disturb this test.
        .set("flow.bulk_min_share", 0)
        .set("flow.concurrency.adaptive", false)
        .set("flow.concurrency.max", PLACES)
        .set("flow.pause.probe_initial", "2s")
        .set("flow.pause.probe_max", "2s")
        .set("endpoint.timeout", "10m")
        .ready()
        .await;
    worker.until_log_lines("paused", 1).await;
    let failed = endpoint.count();
    assert!(failed >= 20, "the outage happened: {failed} calls failed");
    mended.open();
    worker.until_log_lines("running again", 1).await;
    // Published only now: earlier, one of them could be a failing probe and be parked.
    let logouts = (1_000..1_000 + LOGOUTS).map(|n| job(HEALTHY[0], n));
    stage.amqp.publish_all(INTERACTIVE, logouts).await;
    worker.until_metrics("the logouts to be in flight", delivered("interactive", LOGOUTS)).await;
    gate.open();
    worker.until_processed("revoked", BULK_JOBS + LOGOUTS).await;
    worker.stop().await;
    let order = called(&endpoint);
    let before = order[failed..].iter().take_while(|n| **n < 1_000).count();
    assert!(
        before <= 1 + PLACES,
        "{before} bulk calls went first: the probe, and what held the places"
    );
    // Calls that start together arrive in any order.
    let next = order[failed + before..].iter().take(LOGOUTS + PLACES - 1);
    let logouts = next.filter(|n| **n >= 1_000).count();
    assert_eq!(logouts, LOGOUTS, "bulk calls went between the logouts");
}
