//! Jobs through the worker, from the bytes of their messages to their acks, for a count of its
//! instructions by `scripts/instructions`: everything but sockets, TLS and HTTP.
//!
//! One thread, virtual time and fixed seeds: two runs execute the same instructions, but for the seeds
//! of the standard library's hash maps.

#![allow(clippy::expect_used, reason = "a count of what did not work is no count")]

mod broker;

use std::{env, sync::Arc, time::Duration};

use revoker::{
    domain::{Job, JobDefaults, Policy, RetryPolicy, Schedule, TraceContext, Verdict},
    flow::{self, Dispatcher, PauseSettings},
    metrics::{Build, Metrics},
    pipeline::{self, BackingOff, Chance, Duplicates, Pipeline, Stop},
    ports::{Endpoint, SystemClock, UnknownClient},
};
use tokio_util::sync::CancellationToken;

/// Calls at a time.
const CONCURRENCY: usize = 64;

/// The endpoint of a good day.
struct Willing;

impl Endpoint for Willing {
    fn admit(&self, _job: &Job) -> Result<(), UnknownClient> {
        Ok(())
    }

    async fn revoke(
        &self,
        _job: &Job,
        _trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        // As a call would, so that others begin meanwhile.
        tokio::task::yield_now().await;
        Ok(Verdict::Revoked)
    }
}

fn main() {
    let jobs = env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let acked = runtime.block_on(work(jobs));
    assert_eq!(acked, jobs, "not every job was acked");
}

/// Does so many jobs; returns how many were acked.
async fn work(jobs: usize) -> usize {
    let build = Build { version: "0", revision: "0" };
    let metrics = Arc::new(Metrics::new(build).expect("the table is sound"));
    let flow = Arc::new(Dispatcher::new(&flow_settings(), Arc::clone(&metrics)));
    let settings = pipeline_settings();
    let pipeline = Arc::new(Pipeline {
        duplicates: Arc::new(Duplicates::new(settings.remember, settings.remember_capacity)),
        settings,
        endpoint: Willing,
        clock: SystemClock,
        chance: Chance::seeded(1),
        backing_off: BackingOff::new(broker::PREFETCH / 2),
        flow: Arc::clone(&flow),
        metrics,
        stop: Stop::default(),
    });
    let flowing = tokio::spawn(flow.run(CancellationToken::new()));
    let (source, broker) = broker::open(jobs);
    let acking = tokio::spawn(broker.run());
    pipeline.run(source).await;
    flowing.abort();
    acking.await.expect("the broker's side ends")
}

fn flow_settings() -> flow::Settings {
    flow::Settings {
        concurrency_min: 1,
        concurrency_max: CONCURRENCY,
        adaptive: true,
        rate: None,
        bulk_min_share: 0.05,
        pause: PauseSettings {
            after_failures: 20,
            probe_initial: Duration::from_secs(1),
            probe_max: Duration::from_secs(30),
            after_rejections: None,
        },
    }
}

fn pipeline_settings() -> pipeline::Settings {
    let retry = RetryPolicy {
        schedule: Schedule {
            initial: Duration::from_millis(250),
            multiplier: 2.0,
            max: Duration::from_secs(15),
            jitter: 0.5,
        },
        hold: Duration::from_secs(60),
        park: vec![Duration::from_secs(10)],
        give_up_after: Duration::from_secs(86_400),
        retry_after_max: Duration::from_secs(300),
    };
    pipeline::Settings {
        defaults: JobDefaults { audience: "audience".into(), client_id: Some("client".into()) },
        policy: Policy { retry, presume_revoked_after_ambiguity: false },
        remember: Duration::from_secs(600),
        // Fewer than there are jobs: what is remembered neither grows nor is the map rebuilt for it.
        remember_capacity: 500,
    }
}
