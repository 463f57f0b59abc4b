//! Scenario m: a wrong secret with a backlog, through the queue and by `sweep`. Counts the rejected jobs, and tests
//! that the printed commands replay them.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use revoker::domain::Lane;
use tempfile::TempDir;
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    super::{Fallible, scene::Stage, worker::variable},
    Row,
    backend::{Act, Backend, Behaviour},
    place::{Place, SECRET, tokens},
};

/// Jobs: many times the bound of rejected jobs.
const JOBS: u32 = 20_000;

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(5);

/// How long the worker may take to pause.
const PAUSE_LIMIT: Duration = Duration::from_secs(10);

/// How long it is left alone after the pause, for probes and other rejections.
const AFTER_PAUSE: Duration = Duration::from_secs(5);

/// How long everything may take after the secret is corrected.
const LIMIT: Duration = Duration::from_secs(40);

/// The aim: at most this many rejected jobs.
const AIM: u64 = 100;

/// The exit code of a sweep that stops because nothing is revoked.
const NOTHING_REVOKED: i32 = 4;

/// The exit code of an invalid configuration.
const WRONG_CONFIGURATION: i32 = 2;

/// The setting of the guard; a worker that does not know it is not measured.
const KEY: &str = "flow.guard.first_rejections";

/// Measures both variants, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<Vec<Row>> {
    Ok(vec![by_queue(stage).await?, by_sweep(stage).await?])
}

async fn by_queue(stage: &Stage) -> Fallible<Row> {
    let name = format!("a wrong secret before {JOBS} jobs in the queue");
    let place = Place::set(stage, &["shop"], behaviour()).await?;
    fs::write(place.secret("shop"), "wrong")?;
    place.publish(Lane::Bulk, tokens("shop", JOBS)).await?;
    let worker = match place.start(stage, &[(KEY, "50")]).await {
        Err(error) if Row::is_unknown_key(&error, KEY) => {
            place.strike([]).await?;
            return Ok(Row::skipped(name, KEY));
        }
        worker => worker?,
    };
    let paused = place.backend.until(PAUSE_LIMIT, |_| !worker.said("client paused").is_empty());
    if !paused.await {
        return Err("the worker does not pause the client".into());
    }
    sleep(AFTER_PAUSE).await;
    let rejected = place.jobs.dead().await?;
    let replay = worker.word("client paused", "replay").ok_or("no command is printed")?;
    fs::write(place.secret("shop"), SECRET)?;
    place.backend.until(LIMIT, |backend| backend.revoked() > 0).await;
    let replayed = shell(stage, &place, &replay, None).await?;
    let done = place.backend.until(LIMIT, |backend| revoked(backend) >= JOBS as usize).await;
    let left = place.jobs.dead().await?;
    let revoked = revoked(&place.backend);
    place.strike([worker]).await?;
    Ok(Row::judged(
        name,
        aim(),
        format!("{rejected} rejected; {revoked} revoked, {left} dead letters left in the end"),
        u64::from(rejected) <= AIM && replayed.status.success() && done && left == 0,
    ))
}

async fn by_sweep(stage: &Stage) -> Fallible<Row> {
    let name = format!("a wrong secret before {JOBS} jobs of a sweep");
    let place = Place::set(stage, &["shop"], behaviour()).await?;
    fs::write(place.secret("shop"), "wrong")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("jobs.ndjson");
    let lines = (0..JOBS)
        .map(|number| format!("{{\"refresh_token\":\"t-{number}\",\"client_id\":\"shop\"}}\n"));
    fs::write(&file, lines.collect::<String>())?;
    let sweep = format!("revoker sweep {}", file.display());
    let stopped = shell(stage, &place, &sweep, Some((KEY, "50"))).await?;
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    if stopped.status.code() == Some(WRONG_CONFIGURATION)
        && Row::is_unknown_key(&said.clone().into(), KEY)
    {
        place.strike([]).await?;
        return Ok(Row::skipped(name, KEY));
    }
    let rejected = place.backend.records().len() as u64;
    // The sentence ends like this: "... continues: COMMAND . If the tokens ...".
    let command = said.split_once("continues: ").and_then(|(_, rest)| rest.split_once(" . "));
    let (command, _) = command.ok_or_else(|| format!("no command is printed: {said}"))?;
    fs::write(place.secret("shop"), SECRET)?;
    let again = shell(stage, &place, command, None).await?;
    let revoked = revoked(&place.backend);
    place.strike([]).await?;
    let (first, second) = (stopped.status.code(), again.status.code());
    Ok(Row::judged(
        name,
        aim(),
        format!("{rejected} rejected, exit code {first:?}; then {revoked} revoked, {second:?}"),
        rejected <= AIM
            && first == Some(NOTHING_REVOKED)
            && second == Some(0)
            && revoked >= JOBS as usize,
    ))
}

fn aim() -> String {
    format!("at most {AIM} rejected, all revoked by the printed commands once it is corrected")
}

fn behaviour() -> Behaviour {
    Box::new(|call| (if call.secret == SECRET { Act::Revoke } else { Act::Reject }, LATENCY))
}

/// How many different tokens were revoked.
fn revoked(backend: &Backend) -> usize {
    let records = backend.records();
    let revoked = records.iter().filter(|call| call.revoked().is_some());
    revoked.map(|call| &call.token).collect::<HashSet<_>>().len()
}

/// The first line of a command's output, or the last one of its log.
fn said(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let line = out.lines().next().or_else(|| err.lines().last());
    line.unwrap_or_default().to_owned()
}

/// Runs a command as a person types it, with the settings of the scenario.
async fn shell(
    stage: &Stage,
    place: &Place,
    command: &str,
    setting: Option<(&str, &str)>,
) -> Fallible<Output> {
    let names = named_revoker(&stage.options.worker)?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).env_clear().env("PATH", names.path()).stdin(Stdio::null());
    shell.envs(place.settings().iter().map(|(key, value)| (variable(key), value)));
    shell.envs(setting.map(|(key, value)| (variable(key), value)));
    let output = spawn_blocking(move || shell.output()).await??;
    eprintln!("clients, m: {command}: {:?}\n{}", output.status.code(), said(&output));
    drop(names);
    Ok(output)
}

/// A folder in which the binary has the name of the printed commands.
fn named_revoker(worker: &Path) -> Fallible<TempDir> {
    let folder = tempfile::tempdir()?;
    symlink(worker.canonicalize()?, folder.path().join("revoker"))?;
    Ok(folder)
}
