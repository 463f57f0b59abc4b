//! All that the endpoint can say without saying anything, one after the other, under one worker.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Weather,
    bodies::{EMPTY, HTML, UNKNOWN},
    memory::{BOMB, ENDLESS},
    sockets::RESETS,
    statuses::{FORBIDDEN, UNAUTHORIZED, UNAVAILABLE},
};
use crate::{
    chaos::{Area, Evidence, Plan, sized},
    harness::{Endpoint, Stage, scrape::Scrape},
};

const WEATHERS: [Weather; 9] =
    [UNAUTHORIZED, FORBIDDEN, UNAVAILABLE, EMPTY, HTML, UNKNOWN, ENDLESS, BOMB, RESETS];

/// Each weather lasts for so many calls, and the next one follows at once.
#[tokio::test(flavor = "multi_thread")]
async fn one_weather_after_the_other() {
    let (jobs, each) = sized((300, 12), (5_000, 200));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let mut trial = Plan::new(Area::Endpoint, "one fault after the other")
        .jobs(jobs)
        .begin_on(Stage::new().await, async move |law| {
            Endpoint::start(move |call| {
                let nth = counted.fetch_add(1, Ordering::SeqCst);
                match WEATHERS.get(nth / each) {
                    Some(weather) => (weather.answer)(call),
                    None => law.answer(call),
                }
            })
            .await
        })
        .await;
    trial.launch = trial.launch.set("retry.max", "200ms");
    trial.publish_all().await;
    let worker = trial.ready().await;
    trial.endpoint.until_count(WEATHERS.len() * each).await;
    let met = WEATHERS.len() * each;
    let failed = |metrics: &Scrape| {
        let proved = ["revoked", "rejected"].map(|result| metrics.calls(result));
        metrics.sum("endpoint_calls_total") - proved.iter().sum::<usize>()
    };
    let metrics = worker.until_metrics("every weather", |metrics| failed(metrics) >= met).await;
    let results: BTreeSet<&str> = WEATHERS.iter().map(|weather| weather.result).collect();
    let evidence = results.iter().fold(
        Evidence::of(WEATHERS.len(), &format!("faults of {each} calls each")),
        |evidence, result| evidence.and(metrics.calls(result), &format!("`{result}`")),
    );
    trial.close([worker], evidence, 0).await;
}
