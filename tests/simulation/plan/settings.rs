//! The settings of a schedule's workers.

use std::{sync::Arc, time::Duration};

use revoker::{
    broker::HistoryKeys,
    domain::{GonePolicy, JobDefaults, Policy, RetryPolicy, Schedule, VerifyPolicy},
    flow::{self, PauseSettings},
    pipeline::{self, RecordSettings},
};

use crate::dice::Dice;

/// The client of the jobs that name none.
pub const DEFAULT_CLIENT: &str = "default";

/// The key of the workers that have one.
const HISTORY_KEY: &[u8] = b"a-key-that-no-producer-knows-0123456789";

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The settings of every worker of one schedule.
pub struct WorkerPlan {
    pub pipeline: pipeline::Settings,
    pub flow: flow::Settings,
    pub prefetch: u16,
    /// The keys that sign the history of parked jobs, if there are any.
    pub history_keys: Arc<HistoryKeys>,
    /// The grace of a stopping worker.
    pub grace: Duration,
    /// Whether the workers declare the lanes, with a dead-lettering that loses nothing.
    pub declared: bool,
}

impl WorkerPlan {
    pub fn draw(dice: &Dice) -> Self {
        let flow = flow(dice);
        let grace = Duration::from_millis(dice.pick(&[100, 1000, 20_000]));
        let prefetch = flow.prefetch(dice.pick(&[1, 2, 8, 32]));
        let declared = !dice.one_in(3);
        let pipeline = pipeline(dice);
        // Without a key nothing is presumed: the configuration refuses it.
        let presumes = pipeline.policy.presume_revoked_after_ambiguity;
        let history_keys = if presumes || dice.one_in(2) {
            HistoryKeys::from_text(HISTORY_KEY).expect("a key")
        } else {
            HistoryKeys::none()
        };
        Self { pipeline, flow, prefetch, history_keys: Arc::new(history_keys), grace, declared }
    }

    /// Room for jobs that wait between attempts, as the worker measures it.
    pub fn room(&self) -> usize {
        usize::from(self.prefetch) / 2
    }

    /// The longest stay in a retry queue.
    pub fn longest_stay(&self) -> Duration {
        self.pipeline.policy.retry.park.last().copied().unwrap_or_default()
    }
}

fn pipeline(dice: &Dice) -> pipeline::Settings {
    let stays: [&[u64]; 3] = [&[10], &[1, 10, 60], &[10, 60, 300, 900, 3600]];
    let retry = RetryPolicy {
        schedule: Schedule {
            initial: Duration::from_millis(dice.pick(&[50, 250])),
            multiplier: 2.0,
            max: seconds(dice.pick(&[1, 15])),
            jitter: dice.pick(&[0.0, 0.5]),
        },
        hold: seconds(dice.pick(&[2, 20, 60])),
        park: dice.pick(&stays).iter().copied().map(seconds).collect(),
        give_up_after: seconds(dice.pick(&[10, 60, 600, 86_400])),
        retry_after_max: seconds(dice.pick(&[5, 300])),
    };
    pipeline::Settings {
        defaults: JobDefaults {
            audience: "audience".into(),
            client_id: Some(DEFAULT_CLIENT.into()),
            ..JobDefaults::default()
        },
        policy: Policy {
            retry,
            presume_revoked_after_ambiguity: dice.one_in(2),
            rejects_repeats: true,
            gone: GonePolicy::Settle,
        },
        verify: VerifyPolicy::default(),
        remember: seconds(dice.pick(&[0, 10, 600])),
        remember_capacity: dice.pick(&[1, 1000]),
        records: RecordSettings { events: dice.one_in(2), ..RecordSettings::default() },
    }
}

fn flow(dice: &Dice) -> flow::Settings {
    flow::Settings {
        concurrency_min: 1,
        concurrency_max: dice.pick(&[1, 2, 4, 16]),
        adaptive: dice.one_in(2),
        rate: dice.one_in(4).then(|| dice.pick(&[0.5, 5.0, 100.0])),
        rate_scope: flow::RateScope::Replica,
        bulk_min_share: dice.pick(&[0.0, 0.05, 0.5]),
        pause: PauseSettings {
            after_failures: dice.pick(&[2, 5, 20]),
            probe_initial: Duration::from_millis(dice.pick(&[200, 1000])),
            probe_max: seconds(dice.pick(&[5, 30])),
            after_rejections: dice.one_in(5).then(|| dice.pick(&[1, 3])),
            first_rejections: 0,
            expected_rejections: 4,
        },
    }
}
