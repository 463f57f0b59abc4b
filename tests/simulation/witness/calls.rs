//! The rules of calls: when they may begin, and their outcomes.

use std::time::Duration;

use revoker::{
    domain::{Blame, ResultLabel, Verdict},
    flow::{PauseCause, Phase, Status},
};
use tokio::time::Instant;

use super::{LifeNumber, Number, State, Witness, record::Conclusion};
use crate::plan::{self, CLIENTS, Plan};

impl Witness {
    /// Records the start of a call. Returns the number of other running calls of all workers.
    pub fn calling(&self, life: LifeNumber, number: Number, status: &Status) -> usize {
        self.note(|| format!("{number}: calling"));
        let mut state = self.state();
        let others = state.lives.iter().filter(|life| !life.dead).map(|life| life.calling).sum();
        let expired = {
            let record = state.record(number);
            self.plan.jobs[record.job].expired(record.published, self.clock.now())
        };
        let mut faults = state.faults_of_call(number, &self.plan, expired);
        faults.extend(state.faults_of_flow(life, number, &self.plan, status));
        faults.extend(state.faults_of_sharing(number, &self.plan, status));
        let known = state.flight(number).is_some_and(|flight| {
            flight.calling = Some(number);
            flight.ambiguous
        });
        let now = Instant::now();
        let record = state.record(number);
        record.calls += 1;
        record.calling = Some(now);
        record.called = Some(now);
        record.failed = false;
        record.may_have_worked |= known;
        drop(state);
        self.all_violated(faults);
        others
    }

    /// Records the end of a call; `None` for a panic of the worker.
    pub fn called(&self, number: Number, verdict: Option<&Verdict>) {
        self.note(|| format!("{number}: called: {:?}", verdict.map(Verdict::label)));
        let mut state = self.state();
        state.ends_call(number);
        state.count("call", verdict.map_or("panic", |verdict| verdict.label().as_str()));
        if let Some(verdict) = verdict {
            state.life(number).books.called(verdict.label());
        }
        match verdict {
            None => {
                state.suspect(number);
                state.record(number).panicked = true;
                // The flow treats it as an unused probe.
                state.life(number).probed = None;
            }
            Some(Verdict::Transient(failure)) => {
                if failure.blame != Blame::Job {
                    let client = self.plan.jobs[state.record(number).job].client();
                    state.life(number).failing.insert(client);
                }
                let retry = &self.plan.worker.pipeline.policy.retry;
                let wish = failure.retry_after.unwrap_or_default().min(retry.retry_after_max);
                let least = retry.schedule.initial.mul_f64(1.0 - retry.schedule.jitter);
                let now = self.clock.now();
                let client = self.plan.jobs[state.record(number).job].client();
                let since = *state.record(number).failing_since.get_or_insert_with(Instant::now);
                let failing_for =
                    since.elapsed().saturating_sub(state.paused_since(number, client, since));
                let record = state.record(number);
                let first = record.history.first_failed_at.filter(|_| record.history.stays > 0);
                // The whole stay, and the time since, may have been a pause.
                let paused = record.history.paused + record.stayed + record.at.elapsed();
                let has_time = |first| {
                    let age = now.duration_since(first).map(|age| age.saturating_sub(paused));
                    age.is_ok_and(|age| age < retry.hold)
                };
                record.failed = true;
                record.worn_out =
                    failing_for >= retry.hold || first.is_some_and(|first| !has_time(first));
                record.not_before = Some(Instant::now() + wish.max(least));
                if failure.ambiguous {
                    state.suspect(number);
                }
            }
            Some(answer) => {
                let life = state.life(number);
                life.answers.push((Instant::now(), number));
                life.failing.clear();
                state.conclude(
                    number,
                    if answer.label() == ResultLabel::Revoked {
                        Conclusion::Revoked
                    } else {
                        Conclusion::Rejected
                    },
                );
            }
        }
    }

    /// Records that a call was dropped before its end.
    pub fn hung_up(&self, number: Number) {
        self.count("call", "hung up");
        let mut state = self.state();
        state.ends_call(number);
        state.suspect(number);
    }

    /// Records a call that was not made, because the secret was withdrawn.
    pub fn refused(&self, number: Number) {
        self.count("call", "not made for want of a secret");
        let mut state = self.state();
        state.record(number).refused = true;
        // It may have been a probe: its client's turn ends although no call was made.
        state.life(number).probed = None;
    }
}

impl State {
    fn ends_call(&mut self, number: Number) {
        self.record(number).calling = None;
        if let Some(flight) = self.flight(number) {
            flight.calling = None;
        }
        let life = self.life(number);
        life.calling -= 1;
        life.probing = life.probing.filter(|(probe, _)| *probe != number);
    }

    /// The violated rules if this job is called now.
    fn faults_of_call(&mut self, number: Number, plan: &Plan, expired: bool) -> Vec<String> {
        let now = Instant::now();
        let mut faults = Vec::new();
        let must_remember = self.must_remember(number, plan);
        let at_once = self.flight(number).and_then(|flight| flight.calling);
        let record = self.record(number);
        let mut fault = |broken: bool, rule: &str| {
            if broken {
                faults.push(format!("{number}: {rule}"));
            }
        };
        fault(record.taken.is_none(), "called before it was read");
        fault(record.decided.is_some(), "called after its settlement");
        fault(record.verdict.is_some(), "called after its verdict");
        fault(record.panicked, "called after it broke the worker");
        fault(expired, "called after its token died");
        fault(must_remember, "called though the token was revoked a short while ago");
        fault(at_once.is_some(), "called while a call for the same token is under way");
        fault(record.lost.is_some_and(|at| at < now), "called after its session was lost");
        fault(record.not_before.is_some_and(|at| now < at), "called before its wait was over");
        fault(record.worn_out, "called again past the hold");
        faults
    }

    /// The violated rules of the flow if a call begins now.
    fn faults_of_flow(
        &mut self,
        life: LifeNumber,
        number: Number,
        plan: &Plan,
        status: &Status,
    ) -> Vec<String> {
        let now = Instant::now();
        let life = &mut self.lives[life];
        let mut faults = Vec::new();
        let mut fault = |broken: bool, rule: &str| {
            if broken {
                faults.push(format!("{number}: {rule}"));
            }
        };
        let alone = life.failing.len() == 1 && life.failing.iter().copied().all(plan::is_unlucky);
        let paused = match status.phase {
            Phase::Paused(pause) | Phase::Probing(pause) => pause.cause == PauseCause::Failures,
            Phase::Running => false,
        };
        // Unless the other clients are paused as well, each with its own pause.
        let others_run = status.clients_paused == 0;
        fault(paused && alone && others_run, "all are paused for one client");
        life.calling += 1;
        life.starts.push(now);
        fault(life.calling > plan.worker.flow.concurrency_max, "one call too many at a time");
        fault(life.draining.is_some_and(|at| at < now), "called while the worker leaves");
        fault(too_fast(&life.starts, plan.worker.flow.rate), "called faster than the rate");
        match status.phase {
            // A call that was permitted before the pause may begin at the instant of the pause. If all clients are
            // paused, the status names one of them, and another may just have paused.
            Phase::Paused(pause) => {
                let before = pause.since < now && status.clients_paused < CLIENTS;
                fault(before, "called in a pause");
            }
            // If all clients are paused, each is probed.
            Phase::Probing(pause)
                if pause.since < now
                    && pause.cause == PauseCause::Failures
                    && status.clients_paused < CLIENTS =>
            {
                let before = life.probing.replace((number, pause.since));
                // A probe of an earlier pause may still be running.
                let second = before.is_some_and(|(_, since)| since == pause.since);
                fault(second, "a second probe at a time");
            }
            Phase::Probing(_) | Phase::Running => {}
        }
        faults
    }
}

/// Whether the latest start was too early: a burst is allowed, then one start per period.
fn too_fast(starts: &[Instant], rate: Option<f64>) -> bool {
    let (Some(rate), Some(latest)) = (rate, starts.last()) else { return false };
    // The configured rate allows a burst of the starts of 20 ms, at least one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let burst = (rate * 0.02).max(1.0) as usize;
    starts.iter().rev().enumerate().skip(burst).take(20).any(|(back, earlier)| {
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let due = Duration::from_secs_f64((back + 1 - burst) as f64 / rate);
        latest.duration_since(*earlier) + Duration::from_millis(1) < due
    })
}
