//! A fault of the endpoint that begins under load, lasts until the worker pauses, and ends.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::{
    chaos::{Area, Case, Evidence, Plan, sized},
    harness::{Answer, Call, Endpoint, Launch, Stage, Worker, eventually},
};

/// Failed calls in a row that begin a pause.
const AFTER_FAILURES: usize = 20;
/// Failed probes before the fault ends.
const PROBES: usize = 3;

/// One kind of fault.
#[derive(Debug, Clone, Copy)]
pub struct EndpointFault {
    /// The name in the published table.
    pub fault: &'static str,
    /// The answer to a call.
    pub answer: fn(&Call) -> Answer,
    /// The worker's label for it.
    pub result: &'static str,
}

impl EndpointFault {
    /// Runs a case in which a backlog outlasts the fault. It begins after a third of the jobs and ends after
    /// some failed probes. It dead-letters nothing.
    pub async fn outlast(self) {
        self.outlast_with(|launch| launch, async |_| ()).await;
    }

    /// Like [`Self::outlast`], with other settings and a check of the worker before and during the fault.
    pub async fn outlast_with(
        self,
        set: impl FnOnce(Launch) -> Launch,
        check: impl AsyncFn(&Worker),
    ) {
        let switch = FaultSwitch::default();
        let plan = Plan::new(Area::Endpoint, self.fault).jobs(sized(300, 5_000));
        let is_on = switch.clone();
        let mut case = plan
            .begin_on(Stage::new().await, async move |script| {
                Endpoint::start(move |call| {
                    if is_on.applies() { (self.answer)(call) } else { script.answer(call) }
                })
                .await
            })
            .await;
        case.launch = set(pausing_soon(case.launch));
        case.hold_at(1.0 / 3.0);
        case.publish_all().await;
        let worker = case.ready().await;
        case.until_held_at(1.0 / 3.0).await;
        check(&worker).await;
        switch.turn_on();
        case.script.release();
        eventually("a call during the fault", async || match switch.calls() {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        })
        .await;
        let evidence =
            self.until_paused(&worker).await.and(switch.calls(), "calls during the fault");
        check(&worker).await;
        switch.turn_off();
        // A call that exceeds the case's own time limit may have revoked its token.
        let bound = case.in_flight_at(1);
        case.close([worker], evidence, bound).await;
    }

    /// Waits until the fault has made the worker pause; returns the evidence.
    pub async fn until_paused(self, worker: &Worker) -> Evidence {
        worker.until_log_lines("paused again", PROBES).await;
        let pauses = worker.said("paused again").len();
        let met = worker
            .until_metrics("a row of failures", |metrics| {
                metrics.calls(self.result) >= AFTER_FAILURES
            })
            .await;
        Evidence::of(met.calls(self.result), &format!("calls that ended as `{}`", self.result))
            .and(pauses, "failed probes")
    }
}

/// Makes the worker pause soon and probe often.
pub fn pausing_soon(launch: Launch) -> Launch {
    launch
        .set("flow.pause.after_failures", AFTER_FAILURES)
        .set("flow.pause.probe_initial", "100ms")
        .set("flow.pause.probe_max", "200ms")
        .set("retry.initial", "25ms")
        .set("retry.max", "200ms")
        .set("retry.hold", "2s")
}

/// Whether the fault is on, and the calls during it.
#[derive(Debug, Clone, Default)]
struct FaultSwitch(Arc<(AtomicBool, AtomicUsize)>);

impl FaultSwitch {
    fn turn_on(&self) {
        self.0.0.store(true, Ordering::SeqCst);
    }

    fn turn_off(&self) {
        self.0.0.store(false, Ordering::SeqCst);
    }

    /// Whether the fault applies to a call now; counts the call if so.
    fn applies(&self) -> bool {
        let is_on = self.0.0.load(Ordering::SeqCst);
        self.0.1.fetch_add(is_on.into(), Ordering::SeqCst);
        is_on
    }

    fn calls(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Starts a worker and waits until `fault` has made it pause; for faults outside the scripted endpoint.
pub async fn from_the_start(case: &mut Case, fault: EndpointFault) -> (Worker, Evidence) {
    let worker = case.ready().await;
    let evidence = fault.until_paused(&worker).await;
    (worker, evidence)
}
