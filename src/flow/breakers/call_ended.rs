//! Starts and ends pauses at the end of a call.

use std::time::Duration;

use tokio::time::Instant;

use super::{BreakerChanges, Breakers, CallRole, FailureStreak, MOST_PARKED};
use crate::{
    domain::ClientKey,
    flow::{
        call_outcome::CallOutcome,
        circuit::PauseCause,
        client::{ClientState, REFUSALS},
        settings::PauseSettings,
    },
};

impl Breakers {
    /// Records the end of a call, and decides which pauses start or end. `busy`: the server refused the call because
    /// other calls of ours keep it busy, which says nothing about the endpoint as a whole.
    pub(in crate::flow) fn call_ended(
        &mut self,
        (key, role, number): (ClientKey, CallRole, u64),
        took: Duration,
        outcome: &CallOutcome,
        busy: bool,
        now: Instant,
    ) -> BreakerChanges {
        self.client(key).ended();
        if outcome.is_answer() {
            self.totals.answered(took);
            self.client(key).answered(took);
        }
        match outcome {
            CallOutcome::Revoked => self.answered(key, true, role, now),
            CallOutcome::Rejected => {
                self.client(key).rejected(now);
                self.answered(key, false, role, now)
            }
            CallOutcome::RejectedAsExpected => {
                let most = self.settings.expected_rejections;
                self.client(key).rejected_as_expected(most, now);
                self.answered(key, false, role, now)
            }
            CallOutcome::Refused => self.refused(key, PauseCause::Refused, true, role, now),
            // Whether the endpoint works is not known.
            CallOutcome::NoAccess if role == CallRole::WorkerProbe => {
                self.probe_failed(key, role, now)
            }
            CallOutcome::NoAccess => {
                let began = now.checked_sub(took).unwrap_or(now);
                let counts = self.client(key).lacks_access(began, now);
                self.refused(key, PauseCause::NoAccess, counts, role, now)
            }
            // Such a failure proves nothing about other jobs, even from a probe.
            CallOutcome::Failed { job_fault: true, .. } => self.probe_failed(key, role, now),
            CallOutcome::Failed { retry_after, .. } => {
                let not_before = retry_after.map(|asked| now + asked);
                self.totals.failures += 1;
                let totals = self.totals;
                let own_since = self.client(key).failed(number, &totals, not_before, now);
                if !busy {
                    self.streak.note(key, not_before);
                }
                let changes = match role {
                    CallRole::Regular => self.pause_if_failing(key, busy, now),
                    CallRole::ClientProbe | CallRole::WorkerProbe => {
                        self.probe_failed(key, role, now)
                    }
                };
                BreakerChanges { own_since, ..changes }
            }
        }
    }

    /// An answer ends the pauses for failures, of the worker and of its client. Only a revocation ends a pause
    /// for rejections.
    fn answered(
        &mut self,
        key: ClientKey,
        revoked: bool,
        role: CallRole,
        now: Instant,
    ) -> BreakerChanges {
        self.streak = FailureStreak::default();
        let resumed = self.worker.resume().is_some();
        if revoked {
            self.client(key).revoked();
            self.resume(key);
            return BreakerChanges { resumed, ..BreakerChanges::default() };
        }
        let cause = self.client(key).circuit.pause().map(|pause| pause.cause);
        let stalled = match cause {
            None | Some(PauseCause::Failures | PauseCause::Refused | PauseCause::NoAccess) => {
                // Its failures and refusals are over, but its rejections may now be too many.
                self.resume(key);
                self.too_many_rejections(key)
                    .is_some_and(|cause| self.pause_client(key, cause, now))
            }
            Some(PauseCause::Rejections | PauseCause::NothingRevoked) => {
                role != CallRole::Regular
                    && self.probe_failed(key, CallRole::ClientProbe, now).stalled
            }
        };
        BreakerChanges { resumed, stalled, own_since: None }
    }

    /// Notes that the endpoint refused the client, or that the client got no access token. Several of these in a row
    /// pause the client, also if it is the only one. A refusal shows that the endpoint works, so it ends a pause of
    /// the worker. `counts`: it is not known from another call.
    fn refused(
        &mut self,
        key: ClientKey,
        cause: PauseCause,
        counts: bool,
        role: CallRole,
        now: Instant,
    ) -> BreakerChanges {
        let answered = cause == PauseCause::Refused;
        if answered {
            self.streak = FailureStreak::default();
        }
        let resumed = answered && self.worker.resume().is_some();
        let client = self.client(key);
        if counts {
            client.refused();
        }
        let too_many = client.refusals >= REFUSALS;
        let stalled = match client.circuit.pause().map(|pause| pause.cause) {
            None => too_many && self.pause_client(key, cause, now),
            Some(PauseCause::Failures) if too_many => {
                self.resume(key);
                self.pause_client(key, cause, now)
            }
            Some(_) => {
                role != CallRole::Regular
                    && self.probe_failed(key, CallRole::ClientProbe, now).stalled
            }
        };
        BreakerChanges { resumed, stalled, own_since: None }
    }

    /// Why a client that was just rejected has to be paused; `None` if it need not be.
    fn too_many_rejections(&self, key: ClientKey) -> Option<PauseCause> {
        let PauseSettings { first_rejections: first, after_rejections, .. } = self.settings;
        let ClientState { rejections, proved, .. } = self.at(key)?;
        if first > 0 && !proved && *rejections >= first {
            Some(PauseCause::NothingRevoked)
        } else if after_rejections.is_some_and(|most| *rejections >= most) {
            Some(PauseCause::Rejections)
        } else {
            None
        }
    }

    /// Pauses the client or the worker if there are enough failures.
    fn pause_if_failing(&mut self, key: ClientKey, busy: bool, now: Instant) -> BreakerChanges {
        let settings = self.settings;
        let many = self.streak.failures >= settings.after_failures;
        let client = self.client(key);
        if client.circuit.pause().is_some() {
            return BreakerChanges::default();
        }
        // A burst of refusals above a capacity ends within the duration of one call.
        let lasts = !busy
            || client.failing_since.is_some_and(|since| now - since >= settings.probe_initial);
        let fails = client.failures >= settings.after_failures && lasts;
        let nobody_else = self.paused + 1 >= self.known;
        if self.worker.pause().is_some() {
            return BreakerChanges::default();
        }
        if many && (self.streak.several || nobody_else) || fails && nobody_else {
            self.worker.start_pause(
                PauseCause::Failures,
                settings.probe_initial,
                self.streak.not_before,
                now,
            );
        } else if fails {
            let stalled = self.pause_client(key, PauseCause::Failures, now);
            return BreakerChanges { stalled, ..BreakerChanges::default() };
        }
        BreakerChanges::default()
    }

    /// Pauses a client. Always returns true.
    fn pause_client(&mut self, key: ClientKey, cause: PauseCause, now: Instant) -> bool {
        let first = self.settings.probe_initial;
        let client = self.client(key);
        client.circuit.start_pause(cause, first, client.not_before, now);
        let report = client.pause_report(key);
        self.paused += 1;
        self.may_park = MOST_PARKED;
        self.changes.push((key, report));
        true
    }

    /// Ends the pause of a client, if there is one.
    pub(super) fn resume(&mut self, key: ClientKey) {
        let paused = self.client(key).circuit.resume().is_some();
        if paused {
            self.paused -= 1;
            self.changes.push((key, None));
        }
    }

    fn probe_failed(&mut self, key: ClientKey, role: CallRole, now: Instant) -> BreakerChanges {
        let longest = self.settings.probe_max;
        match role {
            CallRole::Regular => BreakerChanges::default(),
            CallRole::WorkerProbe => {
                self.worker.probe_failed(longest, self.streak.not_before, now);
                BreakerChanges::default()
            }
            CallRole::ClientProbe => {
                let client = self.client(key);
                client.circuit.probe_failed(longest, client.not_before, now);
                self.may_park = MOST_PARKED;
                BreakerChanges { stalled: true, ..BreakerChanges::default() }
            }
        }
    }
}

impl FailureStreak {
    fn note(&mut self, key: ClientKey, not_before: Option<Instant>) {
        self.failures = self.failures.saturating_add(1);
        self.several |= *self.first.get_or_insert(key) != key;
        self.not_before = self.not_before.max(not_before);
    }
}
