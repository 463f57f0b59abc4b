//! One scenario's own queues, endpoint and clients, fresh each time.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use revoker::domain::Lane;
use tempfile::TempDir;

use super::{
    super::{
        Fallible,
        jobs::{Jobs, confirmed},
        plain::Plain,
        scene::Stage,
        worker::Worker,
    },
    backend::{Backend, Behaviour},
};

/// The secret of every client.
pub const SECRET: &str = "secret-of-the-bench";

/// The stays in a retry queue: short, because a scenario lasts less than a minute.
pub const PARK: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Queues, an endpoint, and clients with secrets.
#[derive(Debug)]
pub struct Place {
    /// The queues.
    pub jobs: Jobs,
    /// The endpoint.
    pub backend: Backend,
    family: String,
    secrets: TempDir,
    broker: String,
}

impl Place {
    /// Sets up queues, an endpoint with this behaviour, and these clients, but no worker.
    ///
    /// # Errors
    ///
    /// The error of the broker, or no port is free.
    pub async fn set(stage: &Stage, clients: &[&str], behaviour: Behaviour) -> Fallible<Self> {
        let family = stage.family();
        let secrets = tempfile::tempdir()?;
        for client in clients {
            fs::write(secrets.path().join(client), SECRET)?;
        }
        let broker = stage.options.broker.clone();
        let jobs = Jobs::declare(&broker, &family, &PARK).await?;
        let backend = Backend::start(behaviour).await?;
        Ok(Self { jobs, backend, family, secrets, broker })
    }

    /// Starts a worker with these settings besides those that it needs.
    ///
    /// # Errors
    ///
    /// It does not get ready.
    pub async fn start(&self, stage: &Stage, settings: &[(&str, &str)]) -> Fallible<Worker> {
        let mut all: Vec<(&str, String)> = self.settings();
        all.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        Worker::start(&stage.options.worker, &all).await
    }

    /// Starts a plain worker for this many jobs of a lane.
    ///
    /// # Errors
    ///
    /// It does not consume.
    pub async fn plain(&self, lane: Lane, count: u32, at_a_time: u32) -> Fallible<Plain> {
        Plain::start(&self.broker, (&self.jobs, lane), &self.backend.url(), count, at_a_time).await
    }

    /// The file that holds a client's secret.
    pub fn secret(&self, client: &str) -> PathBuf {
        self.secrets.path().join(client)
    }

    /// The settings that every command of the worker's binary needs.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let park = PARK.map(|stay| humantime::format_duration(stay).to_string()).join(",");
        vec![
            ("broker.url", self.broker.clone()),
            ("broker.queue", self.family.clone()),
            ("endpoint.url", self.backend.url()),
            ("credentials.directory", self.secrets.path().display().to_string()),
            ("retry.park", park),
            ("admin.listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string()),
        ]
    }

    /// Publishes jobs, each with its client and token, as fast as the broker accepts them.
    ///
    /// # Errors
    ///
    /// The error of the broker. It may also have refused a job.
    pub async fn publish(
        &self,
        lane: Lane,
        jobs: impl IntoIterator<Item = (&str, String)>,
    ) -> Fallible<()> {
        let mut confirms = Vec::new();
        for (client, token) in jobs {
            confirms.push(self.jobs.publish_for(lane, client, &token).await?);
        }
        confirmed(confirms).await
    }

    /// Ends it, the workers first, and deletes the queues.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn strike(self, workers: impl IntoIterator<Item = Worker>) -> Fallible<()> {
        workers.into_iter().for_each(drop);
        self.jobs.delete().await
    }
}

/// Tokens of one client, each with its own number.
pub fn tokens(client: &str, count: u32) -> impl Iterator<Item = (&str, String)> {
    (0..count).map(move |number| (client, format!("{client}-{number}")))
}
