//! The worker under measurement: its real binary, configured by environment variables as its users would.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep};

use super::{
    Fallible, scrape,
    usage::{Measured, Usage},
};

/// How long it may take to get ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// The poll interval.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Lines of its log that a failure shows.
const SHOWN_LINES: usize = 5;

/// A running worker. On drop it is killed, and its remaining jobs are deleted with its queues.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    log: NamedTempFile,
    admin: SocketAddr,
}

impl Worker {
    /// Starts it with these settings, keys as in a file, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It cannot be started, ends, or does not get ready in time.
    pub async fn start(binary: &Path, settings: &[(&str, String)]) -> Fallible<Self> {
        let log = NamedTempFile::new()?;
        let variables = settings.iter().map(|(key, value)| (variable(key), value));
        let child = Command::new(binary)
            .arg("run")
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen()?)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", binary.display()))?;
        let mut worker = Self { child, log, admin: SocketAddr::from(([127, 0, 0, 1], 0)) };
        worker.until_ready().await?;
        Ok(worker)
    }

    async fn until_ready(&mut self) -> Fallible<()> {
        let limit = Instant::now() + READY_LIMIT;
        while Instant::now() < limit {
            self.check()?;
            if let Some(admin) = self.announced() {
                self.admin = admin;
                if scrape::page(admin, "/readyz").await.is_ok() {
                    return Ok(());
                }
            }
            sleep(POLL_INTERVAL).await;
        }
        Err(format!("the worker does not get ready; its last words:\n{}", self.last_words()).into())
    }

    /// The address of its admin pages, from its log.
    fn announced(&self) -> Option<SocketAddr> {
        let lines = self.log_lines();
        let line = lines.iter().find(|line| line["message"] == "admin listening")?;
        line["address"].as_str()?.parse().ok()
    }

    fn log_lines(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.log.path()).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Its metrics. They must show no job given up and no session lost.
    ///
    /// # Errors
    ///
    /// The metrics show such a fault, or the worker has ended or does not answer.
    pub async fn metrics(&mut self) -> Fallible<String> {
        self.check()?;
        let metrics = scrape::page(self.admin, "/metrics").await?;
        let faults: Vec<String> = ["revocations_failed_total", "broker_sessions_total"]
            .iter()
            .flat_map(|name| scrape::nonzero(&metrics, name))
            .collect();
        if faults.is_empty() {
            return Ok(metrics);
        }
        Err(format!(
            "the worker had faults:
{}",
            faults.join("\n")
        )
        .into())
    }

    /// The number of its pauses so far, from its log.
    pub fn pauses(&self) -> usize {
        self.log_lines().iter().filter(|line| line["message"] == "paused").count()
    }

    /// The sum of a metric over all series that carry `label`; no number if the worker does not answer.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        match scrape::page(self.admin, "/metrics").await {
            Ok(metrics) => scrape::sum(&metrics, name, label),
            Err(_) => f64::NAN,
        }
    }

    /// The times of its log lines whose message begins with this.
    pub fn said(&self, message: &str) -> Vec<SystemTime> {
        let lines = self.log_lines();
        let said = lines.iter().filter(|line| begins(line, message));
        said.filter_map(|line| humantime::parse_rfc3339_weak(line["timestamp"].as_str()?).ok())
            .collect()
    }

    /// A field of the first log line whose message begins with this.
    pub fn word(&self, message: &str, field: &str) -> Option<String> {
        let lines = self.log_lines();
        let line = lines.iter().find(|line| begins(line, message))?;
        line[field].as_str().map(str::to_owned)
    }

    fn check(&mut self) -> Fallible<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let said = self.last_words();
                Err(format!("the worker ended ({status}); its last words:\n{said}").into())
            }
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log.path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Measured for Worker {
    fn usage(&mut self) -> Fallible<Usage> {
        self.check()?;
        Usage::of(self.child.id())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn begins(line: &Value, message: &str) -> bool {
    line["message"].as_str().is_some_and(|said| said.starts_with(message))
}

/// The environment variable of a key.
pub fn variable(key: &str) -> String {
    format!("REVOKER_{}", key.to_uppercase().replace('.', "__"))
}
