//! Scenario g: ten calls that hang are the first at a cold start, and the first after a pause.

use std::time::{Duration, Instant};

use revoker::domain::Lane;

use super::{
    super::{Fallible, scene::Stage},
    Row,
    backend::{Act, Behaviour, Record},
    place::{Place, tokens},
    rate,
};

/// Calls that hang.
const HANGING: u32 = 10;

/// Jobs behind them.
const OTHERS: u32 = 50;

/// How long a call of these takes.
const LATENCY: Duration = Duration::from_millis(50);

/// How long a pause, and the wait for the others, may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The aims: the first of the others begins within this time, and all are done before the first call that hangs is
/// given up. Otherwise a single early answer would hide that no later job is served.
const AIM: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(15);

/// Measures all starts, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    Ok(vec![
        cold(stage, "another", "cold start, the ten of another client").await?,
        cold(stage, "shop", "cold start, the ten of the same client").await?,
        resumed(stage).await?,
    ])
}

/// The ten jobs of `client` come first in the queue.
async fn cold(stage: &Stage, client: &str, name: &str) -> Fallible<Row> {
    let place = Place::set(stage, &["shop", "another"], hanging_tokens()).await?;
    let hanging = (0..HANGING).map(|number| (client, format!("hang-{number}")));
    place.publish(Lane::Interactive, hanging).await?;
    place.publish(Lane::Interactive, tokens("shop", OTHERS)).await?;
    let since = Instant::now();
    let worker = place.start(stage, &[]).await?;
    let row = others_begin(&place, name, since).await;
    place.strike([worker]).await?;
    Ok(row)
}

/// The first ten calls after the probe that ended the pause.
async fn resumed(stage: &Stage) -> Fallible<Row> {
    let down: Behaviour = Box::new(|_| (Act::Reply(502), Duration::ZERO));
    let place = Place::set(stage, &["shop", "another"], down).await?;
    for number in 0..OTHERS {
        let pair = [("shop", format!("s-{number}")), ("another", format!("a-{number}"))];
        place.publish(Lane::Interactive, pair).await?;
    }
    let worker = place.start(stage, &[]).await?;
    let paused = place.backend.until(LIMIT, |_| worker.pauses() > 0).await;
    if !paused {
        return Err("the worker does not pause".into());
    }
    place.backend.behave(Box::new(|call| match call.number {
        2..=11 => (Act::Hang, Duration::ZERO),
        _ => (Act::Revoke, LATENCY),
    }));
    let switched = Instant::now();
    let row = others_begin(&place, "after a pause", switched).await;
    place.strike([worker]).await?;
    Ok(row)
}

fn hanging_tokens() -> Behaviour {
    Box::new(|call| {
        if call.token.starts_with("hang") {
            (Act::Hang, Duration::ZERO)
        } else {
            (Act::Revoke, LATENCY)
        }
    })
}

/// How long after the first call that hangs another one begins, of those that began after `since`.
async fn others_begin(place: &Place, name: &str, since: Instant) -> Row {
    let times = |records: &[Record]| {
        let hung = records.iter().find(|call| call.act == Act::Hang)?.began;
        let later = |call: &&Record| call.act == Act::Revoke && call.began > hung;
        let other = records.iter().find(later)?.began;
        Some(other.saturating_duration_since(hung))
    };
    let all = |records: &[Record]| {
        let later = |call: &&Record| call.began > since && call.revoked().is_some();
        records.iter().filter(later).count() >= OTHERS as usize
    };
    let done = place.backend.until(LIMIT, |backend| all(&backend.records())).await;
    let took = since.elapsed().as_secs_f64();
    let records = place.backend.records();
    let began = times(&records);
    eprintln!(
        "clients, g, {name}: revoked per second {:?}",
        rate::course(&records, since, |_| true)
    );
    let others = if done {
        format!("{OTHERS} done after {took:.1} s")
    } else {
        format!("fewer than {OTHERS} done after {took:.1} s")
    };
    let began_after =
        began.map_or("never".to_owned(), |time| format!("after {:.2} s", time.as_secs_f64()));
    Row {
        scenario: format!("{HANGING} hanging calls first: {name}"),
        aim: format!(
            "others begin within {} s, and all are done within {} s",
            AIM.as_secs(),
            TIMEOUT.as_secs()
        ),
        figure: format!("{began_after}; {others}"),
        met: Some(began.is_some_and(|time| time <= AIM) && done && took <= TIMEOUT.as_secs_f64()),
    }
}
