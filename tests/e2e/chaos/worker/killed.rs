//! SIGKILL.

use crate::{
    chaos::{Area, Case, Evidence, Plan, sized},
    harness::{
        Worker,
        endpoint::Entry,
        relay::{CONSUMING, Relay},
        scrape::Scrape,
    },
};

/// The worker is killed repeatedly, at random moments. Another worker replaces it each time.
#[tokio::test(flavor = "multi_thread")]
async fn sigkill_at_random() {
    let (jobs, kills) = sized((2_000, 5), (100_000, 200));
    let plan = Plan::new(Area::Worker, "SIGKILL at random").jobs(jobs);
    let mut case = plan.prefetch(64).concurrency(32).begin().await;
    case.publish_all().await;
    let mut worker = case.ready().await;
    for kill in 1..=kills {
        // A random moment in this kill's share of the work. The last share is left for the survivor.
        let share = jobs / (kills + 1);
        let at = share * (kill - 1) + case.chance.usize(1..share);
        case.endpoint.until_count(at).await;
        worker.kill().await;
        worker = case.start();
    }
    let bound = case.in_flight_at(kills);
    case.close([worker], Evidence::of(kills, "kills"), bound).await;
}

/// A worker has calls in flight, and a relay holds only its acks. The calls are answered, and when `shown` returns, the
/// worker is killed. Returns the case, the next worker, and the number of jobs in that state.
async fn killed_before_the_acks(
    fault: &'static str,
    shown: impl AsyncFn(&Case, &Worker) -> usize,
) -> (Case, Worker, usize) {
    // Enough for some of them to be rejected with any seed.
    const CALLS: usize = 64;
    let plan = Plan::new(Area::Worker, fault).prefetch(CALLS).concurrency(CALLS);
    let mut case = plan.begin().await;
    case.hold_at(0.0);
    let relay = Relay::open(case.stage.broker_address()).await;
    case.launch = case.launch.set("broker.url", case.stage.url_by(&relay));
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_held_at(0.0).await;
    relay.hold_named(CONSUMING);
    case.script.release();
    let seen = shown(&case, &worker).await;
    worker.kill().await;
    // Reset, not released: acks of the dead worker must never arrive.
    relay.reset();
    relay.release();
    case.launch = case.launch.set("broker.url", case.stage.host.worker_url());
    let next = case.ready().await;
    (case, next, seen)
}

/// Every job with a verdict and without an ack is redelivered and called once more.
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_answer_and_the_ack() {
    let answered = async |case: &Case, _: &Worker| {
        let told = |seen: &[Entry]| seen.iter().filter(|call| call.said.is_some()).count();
        let all = case.calls_at_a_time();
        case.endpoint.until("every verdict to be told", |seen| told(seen) >= all).await;
        told(&case.endpoint.calls())
    };
    let fault = "killed between the endpoint's answer and the ack";
    let (case, next, seen) = killed_before_the_acks(fault, answered).await;
    let bound = case.in_flight_at(1);
    case.close([next], Evidence::of(seen, "verdicts received and not acked"), bound).await;
}

/// The dead letter is stored and its job is redelivered: there are two dead letters, and no job without one.
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_confirm_and_the_ack() {
    let confirmed = async |_: &Case, worker: &Worker| {
        let confirmed = |metrics: &Scrape| metrics.publishes("dead_letter", "confirmed");
        confirmed(&worker.until_metrics("confirms", |metrics| confirmed(metrics) > 0).await)
    };
    let fault = "killed between the dead letter's confirm and the ack";
    let (case, next, seen) = killed_before_the_acks(fault, confirmed).await;
    let bound = case.in_flight_at(1);
    case.close([next], Evidence::of(seen, "dead letters confirmed and not acked"), bound).await;
}

/// The outcome event is stored and its job is redelivered: the job has another event, with the same id if it ends the same.
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_event_and_the_ack() {
    let confirmed = async |_: &Case, worker: &Worker| {
        let confirmed = |metrics: &Scrape| metrics.publishes("outcome", "confirmed");
        confirmed(&worker.until_metrics("confirms", |metrics| confirmed(metrics) > 0).await)
    };
    let fault = "killed between the outcome event's confirm and the ack";
    let (case, next, seen) = killed_before_the_acks(fault, confirmed).await;
    let bound = case.in_flight_at(1);
    case.close([next], Evidence::of(seen, "events confirmed and not acked"), bound).await;
}
