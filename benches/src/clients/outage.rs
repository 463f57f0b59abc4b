//! Scenario h: a short outage while the prefetch is full of bulk jobs and few calls a second are allowed, then logouts.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use revoker::domain::Lane;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    super::{Fallible, jobs::confirmed, scene::Stage},
    Row,
    backend::{Act, Record},
    place::{Place, tokens},
};

/// Calls per second.
const RATE: &str = "4";

/// Bulk jobs: more than the prefetch.
const BULK: u32 = 1000;

/// Logouts, and the time between two: a share of the rate.
const LOGOUTS: u32 = 12;
const PACE: Duration = Duration::from_millis(700);

/// How long a call takes.
const LATENCY: Duration = Duration::from_secs(1);

/// Calls that are answered before the outage.
const BEFORE: u64 = 12;

/// How long the pause, and the logouts, may take.
const LIMIT: Duration = Duration::from_secs(45);

/// The aim, in calls.
const AIM: f64 = 3.0;

/// Measures it, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let place = Place::set(stage, &["shop"], Box::new(|_| (Act::Revoke, LATENCY))).await?;
    place.publish(Lane::Bulk, tokens("shop", BULK)).await?;
    // Few failures are enough: at this rate the default needs five seconds more, and shows the same.
    let settings = [("flow.rate", RATE), ("flow.pause.after_failures", "5")];
    let worker = place.start(stage, &settings).await?;
    place.backend.until_revoked(BEFORE, LIMIT).await?;
    place.backend.behave(Box::new(|_| (Act::Reply(502), Duration::ZERO)));
    if !place.backend.until(LIMIT, |_| worker.pauses() > 0).await {
        return Err("the worker does not pause".into());
    }
    let paused = Instant::now();
    // The first logouts come before the end of the outage, which the second probe detects.
    let logouts = publish(&place, || {
        if paused.elapsed() >= Duration::from_secs(2) {
            place.backend.behave(Box::new(|_| (Act::Revoke, LATENCY)));
        }
    })
    .await?;
    let is_logout = |call: &&Record| logouts.contains_key(&call.token) && call.revoked().is_some();
    let done = |records: &[Record]| records.iter().filter(is_logout).count();
    let all = LOGOUTS as usize;
    let in_time = place.backend.until(LIMIT, |backend| done(&backend.records()) >= all).await;
    let records = place.backend.records().clone();
    place.strike([worker]).await?;
    let back = records.iter().filter_map(Record::revoked).filter(|at| *at > paused).min();
    let back = back.ok_or("nothing is revoked after the outage")?;
    let times = records.iter().filter(is_logout).filter_map(|call| {
        let published = logouts.get(&call.token)?;
        Some(call.revoked()?.saturating_duration_since(back.max(*published)))
    });
    let worst = times.max().unwrap_or_default().div_duration_f64(LATENCY);
    let figure = if in_time {
        format!("{worst:.2} calls")
    } else {
        format!("{} of {LOGOUTS} done in {} s", done(&records), LIMIT.as_secs())
    };
    Ok(vec![Row::judged(
        format!(
            "an outage with the prefetch full of bulk jobs at {RATE} calls/s, then {LOGOUTS} logouts"
        ),
        format!("the slowest logout below {AIM} calls from when the endpoint answers"),
        figure,
        in_time && worst < AIM,
    )])
}

/// Publishes the logouts at a steady pace. Calls `tick` before each. Returns the time of each.
async fn publish(place: &Place, tick: impl Fn()) -> Fallible<HashMap<String, Instant>> {
    let mut due = interval(PACE);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut published, mut confirms) = (HashMap::new(), Vec::new());
    for number in 0..LOGOUTS {
        due.tick().await;
        tick();
        let token = format!("logout-{number}");
        let now = Instant::now();
        confirms.push(place.jobs.publish_for(Lane::Interactive, "shop", &token).await?);
        published.insert(token, now);
    }
    confirmed(confirms).await?;
    Ok(published)
}
