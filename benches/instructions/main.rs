//! Jobs through the worker, from the bytes of their messages to their acks, for a count of its instructions by
//! `scripts/instructions`: all parts except sockets, TLS and HTTP.
//!
//! It uses one thread, fixed seeds and no timers that fire, so two runs execute nearly the same instructions. The
//! remaining differences are the seeds of the standard library's hash maps and the positions of unused timers. Time is
//! not paused as in tests, because that would need another build than the release.

#![allow(clippy::expect_used, clippy::panic, reason = "a count of what did not work is no count")]

mod broker;
mod endpoint;

use std::{env, sync::Arc, time::Duration};

use revoker::{
    domain::{GonePolicy, JobDefaults, Policy, RetryPolicy, Schedule, VerifyPolicy},
    endpoint::ALIGNET,
    flow::{self, Dispatcher, PauseSettings},
    metrics::{Build, Metrics},
    pipeline::{
        self, BackingOff, ChecksSeen, Duplicates, FailureLog, Pipeline, RecordSettings, Stop,
    },
    ports::SystemClock,
    spans::Spans,
};
use tokio_util::sync::CancellationToken;

use broker::Backlog;

/// Calls at a time.
const CONCURRENCY: usize = 64;

/// Stands for the default profile with an outcome event for each job.
const EVENTS: &str = "events";

/// usage: instructions PROFILE|events JOBS
fn main() {
    let mut arguments = env::args().skip(1);
    let profile = arguments.next().expect("a profile");
    let jobs = arguments.next().and_then(|jobs| jobs.parse().ok()).expect("a number of jobs");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(work(&profile, jobs));
}

/// Runs this many jobs. Returns when all of them are acked.
async fn work(profile: &str, jobs: usize) {
    let build = Build { version: "0", revision: "0" };
    let metrics = Arc::new(Metrics::new(build).expect("the table is sound"));
    let flow = Arc::new(Dispatcher::new(&flow_settings(), Arc::clone(&metrics)));
    let has_events = profile == EVENTS;
    let profile = if has_events { ALIGNET } else { profile };
    let settings = pipeline_settings(has_events);
    let pipeline = Arc::new(Pipeline {
        duplicates: Arc::new(Duplicates::new(settings.remember, settings.remember_capacity)),
        settings,
        endpoint: endpoint::unconnected(profile),
        clock: SystemClock,
        backing_off: BackingOff::new(broker::PREFETCH / 2),
        flow: Arc::clone(&flow),
        metrics,
        checks: ChecksSeen::default(),
        failures: Arc::new(FailureLog::default()),
        spans: Spans::none(),
        stop: Stop::default(),
        has_dead_letters: true,
    });
    let flowing = tokio::spawn(flow.run(CancellationToken::new()));
    pipeline.run(Backlog::new(jobs)).await;
    flowing.abort();
}

fn flow_settings() -> flow::Settings {
    flow::Settings {
        concurrency_min: 1,
        concurrency_max: CONCURRENCY,
        // The adaptive limit would depend on the duration of calls.
        adaptive: false,
        rate: None,
        rate_scope: flow::RateScope::Replica,
        bulk_min_share: 0.05,
        pause: PauseSettings {
            after_failures: 20,
            probe_initial: Duration::from_secs(1),
            probe_max: Duration::from_secs(30),
            after_rejections: None,
            first_rejections: 0,
            expected_rejections: 0,
        },
    }
}

fn pipeline_settings(has_events: bool) -> pipeline::Settings {
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
        defaults: JobDefaults {
            audience: "audience".into(),
            client_id: Some("client".into()),
            ..JobDefaults::default()
        },
        policy: Policy {
            retry,
            presume_revoked_after_ambiguity: false,
            rejects_repeats: true,
            gone: GonePolicy::Settle,
        },
        verify: VerifyPolicy::default(),
        remember: Duration::from_secs(600),
        // Fewer than the jobs, so that the memory of tokens reaches a constant size.
        remember_capacity: 500,
        records: RecordSettings {
            events: has_events,
            profile: ALIGNET.into(),
            endpoint: "http://127.0.0.1:9".into(),
            ..RecordSettings::default()
        },
    }
}
