//! The state of one client: whether its calls fail or hang while others are answered, and whether its secret was
//! ever proved. Time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::circuit::{CircuitBreaker, ClientPause};
use crate::domain::ClientKey;

/// The client can be the cause only if at least this many of its calls fail in a row, or hang.
const OWN: u32 = 4;

/// The cause is the client if, meanwhile, the calls of others were answered this many times as often as they failed.
const OTHERS_ANSWERED: u64 = 4;

/// The calls of a client hang if three conditions hold. None is answered for this many times the usual latency. None
/// is answered for [`LEAST_SILENCE`]. Meanwhile others get [`OTHERS_MEANWHILE`] answers.
const SILENCE: u32 = 4;
const LEAST_SILENCE: Duration = Duration::from_secs(2);
const OTHERS_MEANWHILE: u64 = 20;

/// A client is paused when the endpoint refused it this many times in a row. Fewer than failures: the answer is
/// definite, and a server may lock a client that repeats it.
pub(super) const REFUSALS: u32 = 3;

/// Counts over all clients.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CallTotals {
    /// How many calls were answered.
    pub(super) answers: u64,
    /// How many calls failed.
    pub(super) failures: u64,
    /// The average latency of an answer.
    pub(super) latency: Duration,
}

#[derive(Debug, Default)]
pub(super) struct ClientState {
    pub(super) circuit: CircuitBreaker,
    /// How many calls failed since its last answer.
    pub(super) failures: u32,
    /// When the first of them ended.
    pub(super) failing_since: Option<Instant>,
    /// The server asked for no call before this.
    pub(super) not_before: Option<Instant>,
    /// How many calls were rejected since the last revocation.
    pub(super) rejections: u32,
    /// How many calls were rejected as expected since then. They are not among the others.
    expected_rejections: u32,
    /// How many calls were refused since the last other answer.
    pub(super) refusals: u32,
    /// When it was last counted that it got no access token.
    lacked_access: Option<Instant>,
    /// Whether anything was revoked for it since its secret was read, or the guard was lifted.
    pub(super) proved: bool,
    /// The origin of its failures.
    failing: FailureOrigin,
    /// When the first of its rejections came.
    rejected_since: Option<Instant>,
    /// How many calls are in flight.
    running: u32,
    /// Since when it has calls in flight without an answer, and how many answers all clients had had by then.
    silent_since: Option<(Instant, u64)>,
    /// The average latency of its answers.
    latency: Duration,
}

/// The origin of a client's failures.
#[derive(Debug, Clone, Copy, Default)]
struct FailureOrigin {
    /// The number of the first call that failed.
    number: u64,
    /// The totals before it.
    before: CallTotals,
    /// Whether the client was found to fail while others are answered.
    own: bool,
}

impl CallTotals {
    /// Notes an answer after `took`.
    pub(super) fn answered(&mut self, took: Duration) {
        self.answers += 1;
        average(&mut self.latency, took);
    }
}

impl ClientState {
    pub(super) fn started(&mut self, totals: &CallTotals, now: Instant) {
        if self.running == 0 {
            self.silent_since = None;
        }
        self.running += 1;
        self.silent_since.get_or_insert((now, totals.answers));
    }

    /// Notes that a call ended or was not made.
    pub(super) const fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Notes an answer after `took`: its failures are over.
    pub(super) fn answered(&mut self, took: Duration) {
        (self.failures, self.failing_since, self.not_before) = (0, None, None);
        self.refusals = 0;
        self.failing.own = false;
        self.silent_since = None;
        average(&mut self.latency, took);
    }

    /// Notes a revocation: its secret is right.
    pub(super) const fn revoked(&mut self) {
        (self.rejections, self.rejected_since, self.proved) = (0, None, true);
        self.expected_rejections = 0;
    }

    /// Notes a rejection.
    pub(super) fn rejected(&mut self, now: Instant) {
        self.rejections = self.rejections.saturating_add(1);
        self.rejected_since.get_or_insert(now);
    }

    /// Notes a rejection that is expected. More than `most` of them are no longer: only so many calls can have been in
    /// flight at a kill, and a wrong secret must not reject jobs without a bound.
    pub(super) fn rejected_as_expected(&mut self, most: u32, now: Instant) {
        if self.expected_rejections < most {
            self.expected_rejections += 1;
        } else {
            self.rejected(now);
        }
    }

    /// Notes that the endpoint refused it. That is an answer, so its calls neither fail nor hang.
    pub(super) fn refused(&mut self) {
        (self.failures, self.failing_since, self.not_before) = (0, None, None);
        self.silent_since = None;
        self.refusals = self.refusals.saturating_add(1);
    }

    /// Notes that it got no access token. False if that is known: the calls that wait for one token fail by one answer.
    pub(super) fn lacks_access(&mut self, began: Instant, now: Instant) -> bool {
        if self.lacked_access.is_some_and(|last| began < last) {
            return false;
        }
        self.lacked_access = Some(now);
        true
    }

    /// Notes a new secret: the rejections of the old one are forgotten.
    pub(super) const fn renew(&mut self) {
        (self.proved, self.rejections, self.rejected_since) = (false, 0, None);
        self.refusals = 0;
    }

    /// Notes that the call with this number failed; `totals` counts it already. Returns the number of its first
    /// failed call once the client is found to fail while others are answered.
    pub(super) fn failed(
        &mut self,
        number: u64,
        totals: &CallTotals,
        not_before: Option<Instant>,
        now: Instant,
    ) -> Option<u64> {
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.not_before = self.not_before.max(not_before);
        if self.failures == 1 {
            let before = CallTotals { failures: totals.failures - 1, ..*totals };
            self.failing = FailureOrigin { number, before, own: false };
        }
        let FailureOrigin { number, before, own } = self.failing;
        let answered = totals.answers - before.answers;
        let failed = (totals.failures - before.failures).saturating_sub(self.failures.into());
        let is_own = self.failures >= OWN && answered >= OTHERS_ANSWERED * failed.max(1);
        self.failing.own |= is_own;
        (is_own && !own).then_some(number)
    }

    /// Whether it was found to fail while others are answered.
    pub(super) const fn fails_alone(&self) -> bool {
        self.failing.own
    }

    /// Since when its calls hang while others are answered; `None` if they do not.
    pub(super) fn stuck_since(&self, totals: &CallTotals, now: Instant) -> Option<Instant> {
        let (since, answers) = self.silent_since.filter(|_| self.running >= OWN)?;
        if totals.answers - answers < OTHERS_MEANWHILE {
            return None;
        }
        let usual = totals.latency.max(self.latency).saturating_mul(SILENCE).max(LEAST_SILENCE);
        (now.saturating_duration_since(since) > usual).then_some(since)
    }

    /// Whether one more call could exceed the `most` rejections that are allowed before the first revocation. Each call
    /// in flight may end as a rejection. Zero allows any number.
    pub(super) const fn is_at_risk(&self, most: u32) -> bool {
        most > 0 && !self.proved && self.rejections.saturating_add(self.running) >= most
    }

    pub(super) fn pause_report(&self, client: ClientKey) -> Option<ClientPause> {
        let pause = self.circuit.pause()?;
        Some(ClientPause { client, pause, rejected_since: self.rejected_since })
    }
}

/// Moves the average by an eighth of the difference.
fn average(mean: &mut Duration, took: Duration) {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (old, new) = (nanos(*mean), nanos(took));
    *mean = if old == 0 { took } else { Duration::from_nanos(old - old / 8 + new / 8) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn totals(answers: u64, failures: u64) -> CallTotals {
        CallTotals { answers, failures, latency: SECOND }
    }

    #[test]
    fn failures_are_a_clients_own_where_others_are_answered_meanwhile() {
        for (answers, others_failed, own) in [(16, 0, true), (3, 0, false), (16, 5, false)] {
            let (mut client, now) = (ClientState::default(), Instant::now());
            for n in 1..OWN {
                let found = client.failed(u64::from(n), &totals(0, n.into()), None, now);
                assert_eq!(found, None, "too few to tell");
            }
            let all = totals(answers, u64::from(OWN) + others_failed);
            let found = client.failed(9, &all, None, now);
            assert_eq!(found, own.then_some(1), "{answers} answered, {others_failed} failed");
            assert_eq!(client.fails_alone(), own);
            client.answered(SECOND);
            assert!(!client.fails_alone(), "it was answered");
        }
    }

    #[test]
    fn calls_hang_when_none_is_answered_for_long_while_others_are() {
        let (mut client, start) = (ClientState::default(), Instant::now());
        (0..OWN).for_each(|_| client.started(&totals(0, 0), start));
        let later = start + SECOND * SILENCE + SECOND;
        let others = totals(OTHERS_MEANWHILE, 0);
        assert_eq!(client.stuck_since(&others, later), Some(start));
        assert_eq!(client.stuck_since(&others, start + SECOND), None, "an answer may still come");
        assert_eq!(client.stuck_since(&totals(0, 0), later), None, "nobody is answered");
        client.ended();
        assert_eq!(client.stuck_since(&others, later), None, "too few to tell");
        client.started(&others, later);
        client.answered(SECOND * 10);
        client.started(&others, later);
        let soon = later + SECOND * 5;
        let more = totals(2 * OTHERS_MEANWHILE, 0);
        assert_eq!(client.stuck_since(&more, soon), None, "its answers take long, and come");
    }
}
