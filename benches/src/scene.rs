//! One measurement's own broker queues, endpoint and worker, fresh each time.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use revoker::{
    domain::{Fingerprint, Lane},
    mock_endpoint::{Ledger, MockEndpoint, Script},
};
use tokio::time::{sleep, timeout};

use super::{
    Fallible,
    jobs::{Jobs, PARK},
    options::Options,
    worker::Worker,
};

/// The limit of waiting for a job to be revoked.
const LIMIT: Duration = Duration::from_secs(60);

/// The poll interval. The ledger provides the measured times.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The shared parts of all measurements.
#[derive(Debug)]
pub struct Stage {
    /// The options of the benches.
    pub options: Options,
    scenes: AtomicU32,
}

impl Stage {
    /// A stage for these options.
    pub const fn new(options: Options) -> Self {
        Self { options, scenes: AtomicU32::new(0) }
    }

    /// Sets up queues and an endpoint with `script`, but no worker.
    ///
    /// # Errors
    ///
    /// The error of the broker, or no port is free.
    pub async fn set(&self, script: Script) -> Fallible<Scene> {
        let queue = self.family();
        let jobs = Jobs::declare(&self.options.broker, &queue, &PARK).await?;
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = MockEndpoint::start(script, anywhere).await?;
        Ok(Scene { queue, jobs, endpoint })
    }

    /// A new name for a family of queues.
    pub fn family(&self) -> String {
        let number = self.scenes.fetch_add(1, Ordering::Relaxed);
        format!("revoker-bench-{}-{number}", process::id())
    }

    /// Starts the worker on a scene with these settings besides those that it needs.
    ///
    /// # Errors
    ///
    /// It does not get ready.
    pub async fn start(&self, scene: &Scene, settings: &[(&str, String)]) -> Fallible<Worker> {
        let mut all: Vec<(&str, String)> = self.settings(scene);
        all.extend_from_slice(settings);
        Worker::start(&self.options.worker, &all).await
    }

    /// The settings that every command of the worker's binary needs on a scene.
    pub fn settings(&self, scene: &Scene) -> Vec<(&'static str, String)> {
        let park = PARK.map(|stay| humantime::format_duration(stay).to_string()).join(",");
        vec![
            ("broker.url", self.options.broker.clone()),
            ("broker.queue", scene.queue.clone()),
            ("endpoint.url", scene.endpoint.url()),
            ("credentials.client_id", "bench".to_owned()),
            ("credentials.client_secret", "secret-of-the-bench".to_owned()),
            ("retry.park", park),
            ("admin.listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string()),
        ]
    }
}

/// Queues and an endpoint.
#[derive(Debug)]
pub struct Scene {
    queue: String,
    /// The queues.
    pub jobs: Jobs,
    endpoint: MockEndpoint,
}

impl Scene {
    /// The ledger of the endpoint.
    pub fn ledger(&self) -> &Ledger {
        self.endpoint.ledger()
    }

    /// The time at which the endpoint's answer to the job of this token left.
    ///
    /// # Errors
    ///
    /// No answer leaves within [`LIMIT`].
    pub async fn proved(&self, token: &str) -> Fallible<Instant> {
        let token = Fingerprint::of(token);
        let proved = async {
            loop {
                match self.ledger().proved_at(token) {
                    Some(at) => break at,
                    None => sleep(POLL_INTERVAL).await,
                }
            }
        };
        Ok(timeout(LIMIT, proved).await.map_err(|_| "a job is not revoked")?)
    }

    /// The base name of its queues.
    pub fn family(&self) -> &str {
        &self.queue
    }

    /// The address of the endpoint.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint.addr()
    }

    /// The URL of the endpoint.
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// Fills a lane with this many jobs.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn fill(&self, lane: Lane, count: u32) -> Fallible<()> {
        let tokens: Vec<String> = (0..count).map(|number| format!("{lane}-{number}")).collect();
        self.jobs.fill(lane, &tokens).await
    }

    /// Ends it, the worker first, and deletes the queues.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn strike(self, worker: Worker) -> Fallible<()> {
        drop(worker);
        self.clear().await
    }

    /// Ends it, and deletes the queues.
    ///
    /// # Errors
    ///
    /// The error of the broker.
    pub async fn clear(self) -> Fallible<()> {
        self.endpoint.stop().await;
        self.jobs.delete().await
    }
}
