//! Weather that comes while a backlog is worked off, stays until the worker pauses, and goes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::{
    chaos::{Area, Evidence, Plan, Trial, sized},
    harness::{Answer, Call, Endpoint, Launch, Stage, Worker, eventually},
};

/// Failed calls in a row that begin a pause.
const AFTER_FAILURES: usize = 20;
/// Probes that fail before the weather ends.
const PROBES: usize = 3;

/// One kind of weather.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// In the words of the published table.
    pub fault: &'static str,
    /// What becomes of a call.
    pub answer: fn(&Call) -> Answer,
    /// What the worker calls that.
    pub result: &'static str,
}

impl Weather {
    /// A backlog outlasts it: it comes when a third of the jobs were called for, and goes when the worker
    /// has paused and probed. Nothing is condemned by it.
    pub async fn is_outlasted(self) {
        self.is_outlasted_by(|launch| launch, async |_| ()).await;
    }

    /// The same with other settings, and a look at the worker before the weather and at its worst.
    pub async fn is_outlasted_by(
        self,
        set: impl FnOnce(Launch) -> Launch,
        look: impl AsyncFn(&Worker),
    ) {
        let sky = Sky::default();
        let plan = Plan::new(Area::Endpoint, self.fault).jobs(sized(300, 5_000));
        let above = sky.clone();
        let mut trial = plan
            .begin_on(Stage::new().await, async move |law| {
                Endpoint::start(
                    move |call| {
                        if above.meets() { (self.answer)(call) } else { law.answer(call) }
                    },
                )
                .await
            })
            .await;
        trial.launch = set(impatient(trial.launch));
        trial.hold_at(1.0 / 3.0);
        trial.publish_all().await;
        let worker = trial.ready().await;
        trial.until_held_at(1.0 / 3.0).await;
        look(&worker).await;
        sky.breaks();
        trial.law.release();
        eventually("a call into the weather", async || match sky.met() {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        })
        .await;
        let evidence = self.is_met(&worker).await.and(sky.met(), "calls during the fault");
        look(&worker).await;
        sky.clears();
        // A call that is cut short by the weather's own settings may have worked.
        let bound = trial.in_hand_at(1);
        trial.close([worker], evidence, bound).await;
    }

    /// Waits until the worker has met it and has paused.
    pub async fn is_met(self, worker: &Worker) -> Evidence {
        worker.until_said("paused again", PROBES).await;
        let pauses = worker.said("paused again").len();
        let met = worker
            .until_metrics("a row of failures", |metrics| {
                metrics.calls(self.result) >= AFTER_FAILURES
            })
            .await;
        Evidence::of(met.calls(self.result), &format!("calls that came to `{}`", self.result))
            .and(pauses, "failed probes")
    }
}

/// The worker pauses soon, and probes often.
pub fn impatient(launch: Launch) -> Launch {
    launch
        .set("flow.pause.after_failures", AFTER_FAILURES)
        .set("flow.pause.probe_initial", "100ms")
        .set("flow.pause.probe_max", "200ms")
        .set("retry.initial", "25ms")
        .set("retry.max", "200ms")
        .set("retry.hold", "2s")
}

/// Whether there is weather now, and how many calls went into it.
#[derive(Debug, Clone, Default)]
struct Sky(Arc<(AtomicBool, AtomicUsize)>);

impl Sky {
    fn breaks(&self) {
        self.0.0.store(true, Ordering::SeqCst);
    }

    fn clears(&self) {
        self.0.0.store(false, Ordering::SeqCst);
    }

    /// Whether a call that is here now meets the weather.
    fn meets(&self) -> bool {
        let bad = self.0.0.load(Ordering::SeqCst);
        self.0.1.fetch_add(bad.into(), Ordering::SeqCst);
        bad
    }

    fn met(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Waits until a worker has met `weather` since its start, and counts what it met; for weather that is
/// not the scripted endpoint's own.
pub async fn met_from_the_start(trial: &mut Trial, weather: Weather) -> (Worker, Evidence) {
    let worker = trial.ready().await;
    let evidence = weather.is_met(&worker).await;
    (worker, evidence)
}
