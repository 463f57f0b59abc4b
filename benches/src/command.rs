//! A command that runs to its end, and its resources.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Fallible, broker, usage::Usage, worker::variable};

/// The poll interval of the usage, because an ended process reports nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The resources of a command.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// From its start to its end.
    pub time: Duration,
    /// Its usage at the last poll, just before its end.
    pub usage: Usage,
    /// CPU time of the private broker meanwhile.
    pub broker: Option<Duration>,
    /// Its exit code.
    pub code: Option<i32>,
}

/// Runs a binary with these arguments, and settings of the worker.
///
/// # Errors
///
/// It cannot be started.
pub async fn run(
    binary: &Path,
    arguments: &[&str],
    settings: &[(&str, String)],
) -> Fallible<Taken> {
    let variables = settings.iter().map(|(key, value)| (variable(key), value));
    let (began, broker_before) = (Instant::now(), broker::cpu());
    let mut child = Command::new(binary)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut usage = Usage { cpu: Duration::ZERO, peak_rss: 0 };
    loop {
        // Between its end and the next poll it is a zombie without memory.
        if let Ok(now) = Usage::of(child.id()) {
            usage = now;
        }
        if let Some(status) = child.try_wait()? {
            let (time, broker) = (began.elapsed(), broker::cpu());
            let broker =
                broker.zip(broker_before).map(|(after, before)| after.saturating_sub(before));
            return Ok(Taken { time, usage, broker, code: status.code() });
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The folder of the reference programs, which have a build profile of their own. By default this one's.
const REFERENCES: &str = "BENCH_REFERENCES";

/// A reference program.
///
/// # Errors
///
/// This program has no name.
pub fn reference(name: &str) -> Fallible<PathBuf> {
    match env::var_os(REFERENCES) {
        Some(folder) => Ok(Path::new(&folder).join(name)),
        None => Ok(env::current_exe()?.with_file_name(name)),
    }
}
