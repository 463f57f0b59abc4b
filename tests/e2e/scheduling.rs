//! Tests of the next call: logouts before a sweep, a minimum share for the sweep, and at most the configured rate. The
//! tests assert the order of the calls, not their times.

use std::time::{Duration, Instant};

use crate::harness::{
    Answer, AnswerKind, BULK, Endpoint, Gates, INTERACTIVE, Launch, Message, Stage, Worker,
    endpoint::Entry, token,
};

/// Tokens from here on are of the interactive lane.
const FIRST_INTERACTIVE: usize = 1_000;

fn is_interactive(entry: &Entry) -> bool {
    entry.token.rsplit('-').next().unwrap().parse::<usize>().unwrap() >= FIRST_INTERACTIVE
}

/// An endpoint that holds each call until its token's gate is open.
async fn holding(gates: &Gates) -> Endpoint {
    let gates = gates.clone();
    Endpoint::start(move |call| Answer::revoked().after(&gates.of(&call.token))).await
}

/// This many parallel calls. Jobs that are counted as delivered wait in their lane.
fn fixed(launch: Launch, concurrency: usize) -> Launch {
    launch
        .on_one_thread()
        .set("flow.concurrency.max", concurrency)
        .set("flow.concurrency.adaptive", false)
        .set("endpoint.timeout", "10m")
}

async fn until_delivered(worker: &Worker, lane: &str, count: usize) {
    let series = format!("deliveries_total{{lane=\"{lane}\",redelivered=\"false\"}}");
    let arrived = |metrics: &crate::harness::scrape::Scrape| metrics.value(&series) == count;
    worker.until_metrics(&format!("{count} {lane} jobs in flight"), arrived).await;
}

/// All permits are taken and a sweep waits for them: each freed permit goes to the logout that arrived last.
#[tokio::test(flavor = "multi_thread")]
async fn an_interactive_job_is_the_next_to_start() {
    const BULK_JOBS: usize = 50;
    const LOGOUTS: usize = 12;
    for concurrency in 1..=4 {
        let stage = Stage::new().await;
        let gates = Gates::default();
        let endpoint = holding(&gates).await;
        stage.amqp.declare_family().await;
        stage.amqp.publish_all(BULK, (0..BULK_JOBS).map(|n| Message::job(&token(n)))).await;
        let launch = fixed(stage.run(&endpoint), concurrency).set("flow.bulk_min_share", "0");
        let worker = launch.ready().await;
        until_delivered(&worker, "bulk", BULK_JOBS).await;
        endpoint.until_count(concurrency).await;

        for n in 0..LOGOUTS {
            let logout = token(FIRST_INTERACTIVE + n);
            stage.amqp.publish(INTERACTIVE, Message::job(&logout)).await;
            until_delivered(&worker, "interactive", n + 1).await;
            assert_eq!(endpoint.count(), concurrency + n, "a call began without a permit");
            gates.of(&endpoint.calls()[n].token).open();
            endpoint.until_count(concurrency + n + 1).await;
            assert_eq!(endpoint.calls()[concurrency + n].token, logout);
        }
        let every: Vec<String> = (0..BULK_JOBS)
            .chain(FIRST_INTERACTIVE..FIRST_INTERACTIVE + LOGOUTS)
            .map(token)
            .collect();
        for token in &every {
            gates.of(token).open();
        }
        worker.until_processed("revoked", every.len()).await;
        worker.stop().await;
        assert_eq!(endpoint.count(), every.len());
    }
}

/// While many logouts wait, the sweep gets its minimum share of the starts, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_keeps_its_share_of_the_starts() {
    const EACH: usize = 40;
    const EVERY: usize = 4;
    let stage = Stage::new().await;
    let gates = Gates::default();
    let endpoint = holding(&gates).await;
    let launch = fixed(stage.run(&endpoint), 1).set("flow.bulk_min_share", "0.25");
    let worker = launch.ready().await;
    let (first, logouts) = (token(0), FIRST_INTERACTIVE..FIRST_INTERACTIVE + EACH);
    stage.amqp.publish(BULK, Message::job(&first)).await;
    endpoint.until_count(1).await;
    stage.amqp.publish_all(BULK, (1..=EACH).map(|n| Message::job(&token(n)))).await;
    stage.amqp.publish_all(INTERACTIVE, logouts.clone().map(|n| Message::job(&token(n)))).await;
    until_delivered(&worker, "bulk", EACH + 1).await;
    until_delivered(&worker, "interactive", EACH).await;
    (0..=EACH).chain(logouts).for_each(|n| gates.of(&token(n)).open());

    worker.until_processed("revoked", 2 * EACH + 1).await;
    let calls = endpoint.calls();
    let last_logout = calls.iter().rposition(is_interactive).unwrap();
    let contested = &calls[1..=last_logout];
    let bulk = contested.iter().filter(|entry| !is_interactive(entry)).count();
    let share = contested.len() / EVERY;
    assert!(bulk.abs_diff(share) <= 1, "{bulk} of {} starts, not {share}", contested.len());
    worker.stop().await;
}

/// The endpoint's times, which are later than the starts, show no more calls than the rate allows. Logouts go first
/// among jobs that wait for the rate.
#[tokio::test(flavor = "multi_thread")]
async fn the_rate_is_kept_and_logouts_go_first() {
    const RATE: u32 = 20;
    // Enough for half a minute, so that some wait when the logouts come.
    const BULK_JOBS: usize = 600;
    const LOGOUTS: usize = 10;
    // Enough to see the rate by.
    const CALLS: usize = 70;
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    // One at a time: the calls arrive in the order of their starts, and they wait for the rate.
    let launch = fixed(stage.run(&endpoint), 1)
        .set("broker.prefetch", BULK_JOBS)
        .set("flow.rate", RATE)
        .set("flow.bulk_min_share", "0");
    let worker = launch.ready().await;
    let published = Instant::now();
    stage.amqp.publish_all(BULK, (0..BULK_JOBS).map(|n| Message::job(&token(n)))).await;
    until_delivered(&worker, "bulk", BULK_JOBS).await;
    let logouts = FIRST_INTERACTIVE..FIRST_INTERACTIVE + LOGOUTS;
    stage.amqp.publish_all(INTERACTIVE, logouts.clone().map(|n| Message::job(&token(n)))).await;
    until_delivered(&worker, "interactive", LOGOUTS).await;
    // One more call may have begun, and not have arrived.
    let begun = endpoint.count() + 1;

    worker.until_processed("revoked", CALLS).await;
    let series = r#"revocations_processed_total{lane="interactive",outcome="revoked"}"#;
    worker.until_metrics("the logouts", |metrics| metrics.value(series) == LOGOUTS).await;
    endpoint.until("the sweep to go on", |calls| !calls.last().is_some_and(is_interactive)).await;
    let calls = endpoint.calls();
    for (n, call) in calls.iter().enumerate() {
        let earliest = Duration::from_secs(1) * u32::try_from(n).unwrap() / RATE;
        let after = call.arrived - published;
        assert!(after >= earliest, "call {n} began {after:?} after the jobs were published");
    }
    let last_logout = calls.iter().rposition(is_interactive).unwrap();
    let waiting = calls.get(begun..=last_logout).unwrap_or_default();
    assert!(waiting.iter().all(is_interactive), "a sweep's call went before a logout's");
    worker.stop().await;
    let told = endpoint.told(AnswerKind::Revoked);
    assert!(logouts.map(token).all(|logout| told.contains(&logout)));
    let left = stage.amqp.after_consumers(BULK).await as usize;
    assert_eq!(told.len() + left, BULK_JOBS + LOGOUTS, "a job of the sweep is nowhere");
}
