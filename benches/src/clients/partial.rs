//! Scenario a: a share of calls fails at random under any load. The limit must not fall for that.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use revoker::domain::Lane;
use tokio::time::sleep;

use super::{
    super::{Fallible, scene::Stage},
    Row,
    backend::{Act, Behaviour},
    place::{Place, tokens},
    rate,
};

/// The shares, in percent.
const SHARES: [u64; 3] = [2, 10, 30];

/// The aim: this part of the undisturbed rate, less the failing share.
const AIM: f64 = 0.9;

/// The failures of calls.
const KINDS: [(&str, Act); 3] =
    [("429", Act::Reply(429)), ("503", Act::Reply(503)), ("resets", Act::Reset)];

/// A setting: the latency of calls, the time for the limit to grow, the measured time, and the jobs for both.
#[derive(Debug, Clone, Copy)]
struct Setting {
    latency: Duration,
    climb: Duration,
    window: Duration,
    jobs: u32,
    /// Runs at a time: calls of a second leave the machine idle, calls of 50 ms do not.
    parallel: bool,
}

const SETTINGS: [Setting; 2] = [
    Setting {
        latency: Duration::from_millis(50),
        climb: Duration::from_secs(2),
        window: Duration::from_millis(2500),
        jobs: 26_000,
        parallel: false,
    },
    Setting {
        latency: Duration::from_secs(1),
        climb: Duration::from_secs(14),
        window: Duration::from_secs(12),
        jobs: 7500,
        parallel: true,
    },
];

/// Measures every kind, share and latency, with an undisturbed run before and after, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let mut rows = Vec::new();
    for setting in SETTINGS {
        let disturbed = KINDS.into_iter().flat_map(|kind| SHARES.map(|share| (Some(kind), share)));
        let runs: Vec<_> = [(None, 0)].into_iter().chain(disturbed).chain([(None, 0)]).collect();
        let mut rates = Vec::new();
        if setting.parallel {
            let runs = runs.iter().map(|(kind, share)| run(stage, setting, *kind, *share));
            rates = try_join_all(runs).await?;
        } else {
            for (kind, share) in runs {
                rates.push(run(stage, setting, kind, share).await?);
            }
        }
        // Other load of the machine can only lower it.
        let undisturbed = rates[0].max(rates[rates.len() - 1]);
        let of_kinds = rates[1..].chunks(SHARES.len());
        rows.extend(
            KINDS
                .iter()
                .zip(of_kinds)
                .map(|((name, _), rates)| report(setting, name, rates, undisturbed)),
        );
    }
    Ok(rows)
}

/// The tokens revoked per second after the limit has grown.
async fn run(
    stage: &Stage,
    setting: Setting,
    kind: Option<(&'static str, Act)>,
    share: u64,
) -> Fallible<f64> {
    let place = Place::set(stage, &["shop"], behaviour(setting.latency, kind, share)).await?;
    place.publish(Lane::Bulk, tokens("shop", setting.jobs)).await?;
    let worker = place.start(stage, &[]).await?;
    let from = Instant::now() + setting.climb;
    sleep(setting.climb + setting.window).await;
    let rate = rate::revoked(&place.backend.records(), from, setting.window, |_| true);
    let limit = worker.metric("concurrency_limit", "").await;
    let parked = worker.metric("deferrals_total", "how=\"parked\"").await;
    eprintln!(
        "clients, a, {} ms, {share} % of {}: {rate:.0}/s; limit {limit}, {parked} parked, paused {} times",
        setting.latency.as_millis(),
        kind.map_or("nothing", |(name, _)| name),
        worker.pauses(),
    );
    if place.backend.revoked() >= setting.jobs.into() {
        return Err("the backlog was over before the end of the window".into());
    }
    place.strike([worker]).await?;
    Ok(rate)
}

fn behaviour(latency: Duration, kind: Option<(&'static str, Act)>, share: u64) -> Behaviour {
    Box::new(move |call| match kind {
        // A gateway's limit refuses at once; a backend fails after its latency.
        Some((_, Act::Reply(429))) if chance(call.number) < share => {
            (Act::Reply(429), Duration::ZERO)
        }
        Some((_, act)) if chance(call.number) < share => (act, latency),
        _ => (Act::Revoke, latency),
    })
}

/// A pseudo-random number below 100, the same in each run.
const fn chance(number: u64) -> u64 {
    // Two rounds of the finalizer of SplitMix64: neighbouring numbers are independent.
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % 100
}

fn report(setting: Setting, name: &str, rates: &[f64], undisturbed: f64) -> Row {
    let (mut figures, mut met) = (Vec::new(), true);
    for (share, rate) in SHARES.iter().zip(rates) {
        let left = 1.0 - f64::from(u32::try_from(*share).unwrap_or(u32::MAX)) / 100.0;
        let ratio = rate / (undisturbed * left);
        figures.push(format!("{ratio:.2}"));
        met &= ratio >= AIM;
    }
    let shares = SHARES.map(|share| format!("{share} %")).join(", ");
    Row {
        scenario: format!("{shares} of {name}, calls of {} ms", setting.latency.as_millis()),
        aim: format!("each at least {AIM} x (1 - share) of the undisturbed rate"),
        figure: format!("{} x (1 - share)", figures.join(", ")),
        met: Some(met),
    }
}
