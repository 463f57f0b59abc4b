//! The private node, if there is one: a given broker is not killed.

use std::{env, fs, path::Path, process::Command, time::Duration};

use super::{Fallible, usage::Usage};

/// The folder of the private node, which `scripts/with-broker` names.
const DIR: &str = "REVOKER_TEST_BROKER_DIR";

/// Whether there is a private node.
pub fn is_ours() -> bool {
    env::var_os(DIR).is_some()
}

/// CPU time of the private node since its start.
pub fn cpu() -> Option<Duration> {
    let pid = fs::read_to_string(Path::new(&env::var_os(DIR)?).join("node.pid")).ok()?;
    Some(Usage::of(pid.split_whitespace().next()?.parse().ok()?).ok()?.cpu)
}

/// SIGKILL; its data stays.
///
/// # Errors
///
/// The error of `scripts/broker`.
pub async fn kill() -> Fallible<()> {
    run("kill").await
}

/// Starts it again, and returns when it is up.
///
/// # Errors
///
/// The error of `scripts/broker`.
pub async fn restart() -> Fallible<()> {
    run("restart").await
}

async fn run(action: &'static str) -> Fallible<()> {
    let dir = env::var(DIR)?;
    let status = tokio::task::spawn_blocking(move || {
        Command::new("scripts/broker")
            .args([action, &dir])
            .stdout(std::process::Stdio::null())
            .status()
    });
    match status.await?? {
        status if status.success() => Ok(()),
        status => Err(format!("scripts/broker {action} ended with {status}").into()),
    }
}
