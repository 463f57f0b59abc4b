//! Scenario f: copies of one token whose call hangs precede healthy logouts.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use revoker::domain::Lane;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    super::{
        Fallible,
        figures::{milliseconds, percentile},
        jobs::confirmed,
        scene::Stage,
    },
    Row,
    backend::Act,
    place::{Place, tokens},
};

/// Copies of the token.
const COPIES: usize = 600;

/// Healthy logouts behind them, and the time between two.
const HEALTHY: u32 = 200;
const PACE: Duration = Duration::from_millis(20);

/// Jobs before, so that the limit has climbed.
const WARM_UP: u32 = 2000;

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(100);

/// How long the healthy logouts may take.
const LIMIT: Duration = Duration::from_secs(35);

/// The aim, in calls.
const AIM: f64 = 3.0;

/// Measures it, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let place = Place::set(
        stage,
        &["shop"],
        Box::new(|call| match call.token {
            "copied" => (Act::Hang, Duration::ZERO),
            _ => (Act::Revoke, LATENCY),
        }),
    )
    .await?;
    let worker = place.start(stage, &[]).await?;
    place.publish(Lane::Interactive, tokens("shop", WARM_UP)).await?;
    place.backend.until_revoked(WARM_UP.into(), LIMIT).await?;
    place
        .publish(Lane::Interactive, std::iter::repeat_n(("shop", "copied".to_owned()), COPIES))
        .await?;
    let published = publish(&place).await?;
    let done = place.backend.until_revoked((WARM_UP + HEALTHY).into(), LIMIT).await;
    let mut times: Vec<Duration> = {
        let records = place.backend.records();
        let of_healthy = records.iter().filter_map(|call| {
            let published = published.get(&call.token)?;
            Some(call.revoked()?.saturating_duration_since(*published))
        });
        of_healthy.collect()
    };
    times.sort_unstable();
    let hung = place.backend.records().iter().filter(|call| call.act == Act::Hang).count();
    let parked = worker.metric("deferrals_total", "how=\"parked\"").await;
    place.strike([worker]).await?;
    let calls = milliseconds(percentile(&times, 99.0)) / milliseconds(LATENCY);
    let met = done.is_ok() && calls < AIM;
    let figure = match done {
        Ok(()) => format!("{calls:.2} calls; {hung} calls hung, {parked} parked"),
        Err(_) => format!(
            "{} of {HEALTHY} done in {} s; {hung} calls hung, {parked} parked",
            times.len(),
            LIMIT.as_secs()
        ),
    };
    Ok(vec![Row::judged(
        format!("{COPIES} copies of one hanging token before {HEALTHY} healthy logouts"),
        format!("healthy p99 below {AIM} calls"),
        figure,
        met,
    )])
}

/// Publishes the healthy logouts at a steady pace. Returns the time of each.
async fn publish(place: &Place) -> Fallible<HashMap<String, Instant>> {
    let mut due = interval(PACE);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut published, mut confirms) = (HashMap::new(), Vec::new());
    for number in 0..HEALTHY {
        due.tick().await;
        let token = format!("healthy-{number}");
        let now = Instant::now();
        confirms.push(place.jobs.publish_for(Lane::Interactive, "shop", &token).await?);
        published.insert(token, now);
    }
    confirmed(confirms).await?;
    Ok(published)
}
