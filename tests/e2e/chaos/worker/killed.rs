//! SIGKILL.

use crate::{
    chaos::{Area, Evidence, Plan, Trial, sized},
    harness::{Worker, endpoint::Entry, relay::Relay, scrape::Scrape},
};

/// Killed again and again, at moments that are drawn: another one takes its place each time.
#[tokio::test(flavor = "multi_thread")]
async fn sigkill_at_random() {
    let (jobs, kills) = sized((2_000, 5), (100_000, 200));
    let plan = Plan::new(Area::Worker, "SIGKILL at random").jobs(jobs);
    let mut trial = plan.prefetch(64).concurrency(32).begin().await;
    trial.publish_all().await;
    let mut worker = trial.ready().await;
    for kill in 1..=kills {
        // Somewhere in this kill's share of the work; the last share is left for the survivor.
        let share = jobs / (kills + 1);
        let at = share * (kill - 1) + trial.chance.usize(1..share);
        trial.endpoint.until_count(at).await;
        worker.kill().await;
        worker = trial.start();
    }
    let bound = trial.in_hand_at(kills);
    trial.close([worker], Evidence::of(kills, "kills"), bound).await;
}

/// The connection whose acks are held, by the end of the name that the worker gives it. With the space: every
/// client of the protocol speaks of a `consumer_cancel_notify`.
const CONSUMING: &str = " consume";

/// The worker has a hand full of calls; its way to the broker is held for acks and nothing else; the calls
/// are answered; and when `shown` says that the moment is there, it is killed. Returns the trial, the
/// worker that goes on, and how many jobs were in that state.
async fn killed_before_the_acks(
    fault: &'static str,
    shown: impl AsyncFn(&Trial, &Worker) -> usize,
) -> (Trial, Worker, usize) {
    // Enough for some of them to be condemned, whatever the seed.
    const CALLS: usize = 64;
    let plan = Plan::new(Area::Worker, fault).prefetch(CALLS).concurrency(CALLS);
    let mut trial = plan.begin().await;
    trial.hold_at(0.0);
    let relay = Relay::open(trial.stage.broker_address()).await;
    trial.launch = trial.launch.set("broker.url", trial.stage.url_by(&relay));
    trial.publish_all().await;
    let worker = trial.ready().await;
    trial.until_held_at(0.0).await;
    relay.hold_named(CONSUMING);
    trial.law.release();
    let seen = shown(&trial, &worker).await;
    worker.kill().await;
    // Not released: what the dead worker had sent must never arrive.
    relay.reset();
    relay.release();
    trial.launch = trial.launch.set("broker.url", trial.stage.host.worker_url());
    let next = trial.ready().await;
    (trial, next, seen)
}

/// Every job whose verdict was told and not acked comes back, and is called once more.
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_answer_and_the_ack() {
    let answered = async |trial: &Trial, _: &Worker| {
        let told = |seen: &[Entry]| seen.iter().filter(|call| call.said.is_some()).count();
        let all = trial.calls_at_a_time();
        trial.endpoint.until("every verdict to be told", |seen| told(seen) >= all).await;
        told(&trial.endpoint.calls())
    };
    let fault = "killed between the endpoint's answer and the ack";
    let (trial, next, seen) = killed_before_the_acks(fault, answered).await;
    let bound = trial.in_hand_at(1);
    trial.close([next], Evidence::of(seen, "verdicts told and not acked"), bound).await;
}

/// The letter is in its queue and its job comes back: there are two letters, and no job without one.
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_confirm_and_the_ack() {
    let confirmed = async |_: &Trial, worker: &Worker| {
        let confirmed = |metrics: &Scrape| metrics.publishes("dead_letter", "confirmed");
        confirmed(&worker.until_metrics("confirms", |metrics| confirmed(metrics) > 0).await)
    };
    let fault = "killed between the dead letter's confirm and the ack";
    let (trial, next, seen) = killed_before_the_acks(fault, confirmed).await;
    let bound = trial.in_hand_at(1);
    trial.close([next], Evidence::of(seen, "letters confirmed and not acked"), bound).await;
}
