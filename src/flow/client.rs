//! What is known of one client's calls: whether they fail or hang by themselves, and whether a secret was ever proved.
//!
//! Known are the client and what its calls showed; time comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    circuit::{Circuit, Phase},
    client_pause::ClientPause,
};
use crate::domain::ClientKey;

/// So many calls of a client in a row have to fail, or to hang, before that can be the client's own.
const OWN: u32 = 4;

/// Failures are the client's own if others were answered so many times as often as their calls failed meanwhile.
const OTHERS_ANSWERED: u64 = 4;

/// Calls hang if none of them is answered for so many times as long as an answer usually takes, and for
/// [`LEAST_SILENCE`], while others get [`OTHERS_MEANWHILE`] answers.
const SILENCE: u32 = 4;
const LEAST_SILENCE: Duration = Duration::from_secs(2);
const OTHERS_MEANWHILE: u64 = 20;

/// What is counted over all clients.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Calls that were answered.
    pub answers: u64,
    /// Calls that failed.
    pub failures: u64,
    /// How long an answer takes, on average.
    pub latency: Duration,
}

/// What is known of one client.
#[derive(Debug, Default)]
pub struct Client {
    /// Its pause, if it is paused.
    pub circuit: Circuit,
    /// Calls that failed since its last answer.
    pub failures: u32,
    /// When the first of them ended.
    pub failing_since: Option<Instant>,
    /// No probe before this: the server asked for it.
    pub not_before: Option<Instant>,
    /// Rejections since its last success.
    pub rejections: u32,
    /// Whether anything was revoked for it since its secret was read, or the guard was lifted.
    pub proved: bool,
    /// Where its failures began.
    failing: Failing,
    /// When the first of its rejections came.
    rejected_since: Option<Instant>,
    /// Calls under way.
    running: u32,
    /// Since when it has calls under way of which none was answered, and how many answers there were before.
    silent_since: Option<(Instant, u64)>,
    /// How long its answers take, on average.
    latency: Duration,
}

/// Where the failures of a client began.
#[derive(Debug, Clone, Copy, Default)]
struct Failing {
    /// The first call that failed, by its number.
    number: u64,
    /// The totals before it.
    before: Totals,
    /// Whether the failures were found to be the client's own.
    own: bool,
}

impl Totals {
    /// Notes an answer, which took so long.
    pub fn answered(&mut self, took: Duration) {
        self.answers += 1;
        average(&mut self.latency, took);
    }
}

impl Client {
    /// A call starts.
    pub fn started(&mut self, totals: &Totals, now: Instant) {
        if self.running == 0 {
            self.silent_since = None;
        }
        self.running += 1;
        self.silent_since.get_or_insert((now, totals.answers));
    }

    /// A call ended, or was never made.
    pub const fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// A call was answered after `took`: its failures are over.
    pub fn answered(&mut self, took: Duration) {
        (self.failures, self.failing_since, self.not_before) = (0, None, None);
        self.failing.own = false;
        self.silent_since = None;
        average(&mut self.latency, took);
    }

    /// Something was revoked for it: its secret is the right one.
    pub const fn revoked(&mut self) {
        (self.rejections, self.rejected_since, self.proved) = (0, None, true);
    }

    /// A call was rejected.
    pub fn rejected(&mut self, now: Instant) {
        self.rejections = self.rejections.saturating_add(1);
        self.rejected_since.get_or_insert(now);
    }

    /// Its secret is new: what the old one showed is forgotten.
    pub const fn renew(&mut self) {
        (self.proved, self.rejections, self.rejected_since) = (false, 0, None);
    }

    /// The call of that number failed, as counted in `totals`. Says from which call on the failures are the client's
    /// own, when that is found.
    pub fn failed(
        &mut self,
        number: u64,
        totals: &Totals,
        not_before: Option<Instant>,
        now: Instant,
    ) -> Option<u64> {
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.not_before = self.not_before.max(not_before);
        if self.failures == 1 {
            let before = Totals { failures: totals.failures - 1, ..*totals };
            self.failing = Failing { number, before, own: false };
        }
        let Failing { number, before, own } = self.failing;
        let answered = totals.answers - before.answers;
        let failed = (totals.failures - before.failures).saturating_sub(self.failures.into());
        let is_own = self.failures >= OWN && answered >= OTHERS_ANSWERED * failed.max(1);
        self.failing.own |= is_own;
        (is_own && !own).then_some(number)
    }

    /// Whether its failures were found to be its own: others are answered meanwhile.
    pub const fn fails_alone(&self) -> bool {
        self.failing.own
    }

    /// Since when its calls hang while others are answered, if they do.
    pub fn stuck_since(&self, totals: &Totals, now: Instant) -> Option<Instant> {
        let (since, answers) = self.silent_since.filter(|_| self.running >= OWN)?;
        if totals.answers - answers < OTHERS_MEANWHILE {
            return None;
        }
        let usual = totals.latency.max(self.latency).saturating_mul(SILENCE).max(LEAST_SILENCE);
        (now.saturating_duration_since(since) > usual).then_some(since)
    }

    /// Whether one more of its calls could be one rejection too many: each call under way could end as one. `most`
    /// are allowed before anything was revoked for it; 0 stands for any number.
    pub const fn is_at_risk(&self, most: u32) -> bool {
        most > 0 && !self.proved && self.rejections.saturating_add(self.running) >= most
    }

    /// Its pause, for whoever is told of it.
    pub fn told(&self, client: ClientKey) -> Option<ClientPause> {
        let pause = self.circuit.pause()?;
        Some(ClientPause { client, pause, rejected_since: self.rejected_since })
    }

    /// The phase of its circuit.
    pub fn phase(&mut self, now: Instant) -> Phase {
        self.circuit.phase(now)
    }
}

/// Moves an average by an eighth of the difference.
fn average(mean: &mut Duration, took: Duration) {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (old, new) = (nanos(*mean), nanos(took));
    *mean = if old == 0 { took } else { Duration::from_nanos(old - old / 8 + new / 8) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn totals(answers: u64, failures: u64) -> Totals {
        Totals { answers, failures, latency: SECOND }
    }

    #[test]
    fn failures_are_a_clients_own_where_others_are_answered_meanwhile() {
        for (answers, others_failed, own) in [(16, 0, true), (3, 0, false), (16, 5, false)] {
            let (mut client, now) = (Client::default(), Instant::now());
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
        let (mut client, start) = (Client::default(), Instant::now());
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
