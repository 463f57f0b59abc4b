//! Scenario l: many bulk jobs of one client, then a few of another in the same lane. Measures the time of these few
//! from their delivery.

use std::time::{Duration, Instant};

use revoker::domain::Lane;

use super::{
    super::{
        Fallible,
        figures::{milliseconds, percentile},
        scene::Stage,
    },
    Row,
    backend::{Act, Record},
    place::{Place, tokens},
};

/// Jobs of the crowd before the few and after them: enough for half a minute.
const IN_FRONT: u32 = 100_000;
const BEHIND: u32 = 20_000;

/// Jobs of the other client.
const FEW: u32 = 100;

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(50);

/// Deliveries in flight: eight times the calls at a time, so that a lane in the order of arrival fails the aim.
const PREFETCH: u32 = 2048;

/// How long the few may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The aim, in calls.
const AIM: f64 = 3.0;

/// Measures it, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    let (in_front, behind) = (stage.options.scaled(IN_FRONT), stage.options.scaled(BEHIND));
    let place = Place::set(stage, &["crowd", "few"], Box::new(|_| (Act::Revoke, LATENCY))).await?;
    place.publish(Lane::Bulk, tokens("crowd", in_front)).await?;
    place.publish(Lane::Bulk, tokens("few", FEW)).await?;
    let rest = (in_front..in_front + behind).map(|number| ("crowd", format!("crowd-{number}")));
    place.publish(Lane::Bulk, rest).await?;
    let worker = place.start(stage, &[("broker.prefetch", &PREFETCH.to_string())]).await?;
    let done = |records: &[Record]| records.iter().filter(|call| is_few(call)).count();
    let few = FEW as usize;
    if !place.backend.until(LIMIT, |backend| done(&backend.records()) >= few).await {
        return Err("the few are not revoked".into());
    }
    let left = u64::from(in_front + FEW + behind) - place.backend.revoked();
    let p99 = p99(&place.backend.records(), in_front as usize);
    place.strike([worker]).await?;
    let calls = p99 / milliseconds(LATENCY);
    Ok(vec![Row {
        scenario: format!(
            "{FEW} bulk jobs behind {in_front} of another client, {behind} behind them"
        ),
        aim: format!("p99 below {AIM} calls once in flight"),
        figure: format!("{calls:.2} calls ({p99:.0} ms; {left} jobs left)"),
        met: Some(calls < AIM),
    }])
}

fn is_few(call: &Record) -> bool {
    call.client == "few" && call.revoked().is_some()
}

/// The time from a job's delivery to its answer, in milliseconds. The broker delivers in order, and at most the
/// prefetch before acks. So a job was in flight only after all earlier jobs, except one prefetch, were answered.
fn p99(records: &[Record], in_front: usize) -> f64 {
    let mut ended: Vec<Instant> = records.iter().filter_map(Record::revoked).collect();
    ended.sort_unstable();
    let position = |token: &str| token.rsplit('-').next().and_then(|text| text.parse().ok());
    let few = records.iter().filter(|call| is_few(call));
    let times = few.filter_map(|call| {
        let place = in_front + position(&call.token).unwrap_or(0_usize);
        let in_flight = ended.get(place.saturating_sub(PREFETCH as usize))?;
        Some(call.revoked()?.saturating_duration_since(*in_flight))
    });
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    milliseconds(percentile(&times, 99.0))
}
