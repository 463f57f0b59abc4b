//! What the stand-in does with a call: pure, and the same for the same seed.
//!
//! Chance is drawn from the seed, the token and how often the token was seen, never from the order in
//! which calls arrive: so a run with hundreds of calls at a time can be repeated. Only another Rust
//! release or another version of `fastrand` may deal other chances.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

use super::outage::Outage;
use crate::domain::Fingerprint;

/// How the stand-in behaves. The default answers every call at once, and well.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Where chance begins.
    pub seed: u64,
    /// How long every call takes.
    pub latency: Duration,
    /// Up to how much longer it may take, evenly spread.
    pub latency_jitter: Duration,
    /// The share of calls, from 0 to 1, that take `slow_latency` in place of `latency`.
    pub slow_share: f64,
    /// How long a slow call takes.
    pub slow_latency: Duration,
    /// The share of tokens, from 0 to 1, whose every call answers `01`.
    pub reject_share: f64,
    /// Tokens that begin so always answer `01`.
    pub reject_prefix: Option<String>,
    /// The share of calls, from 0 to 1, whose connection is reset without an answer: one half before
    /// the token is revoked, one half after.
    pub fault_share: f64,
    /// Answers every call in place of an envelope; nothing is revoked then.
    pub canned: Option<Canned>,
    /// When it is away.
    pub outage: Option<Outage>,
    /// Whether messages repeat the token and the client secret that were sent.
    pub echo: bool,
    /// Calls at a time beyond which the answer is 429.
    pub max_parallel: Option<usize>,
    /// The header `Retry-After` of 429 and of canned answers, in seconds.
    pub retry_after: Option<u64>,
    /// Whether a second revocation of a token answers `00`. The real endpoint is assumed to answer
    /// `01`.
    pub idempotent: bool,
    /// The clients and their secrets; every client is welcome if there are none.
    pub clients: BTreeMap<String, SecretString>,
}

/// An answer that is no envelope.
#[derive(Debug, Clone)]
pub struct Canned {
    /// Its status.
    pub status: StatusCode,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its body.
    pub body: Bytes,
}

/// Where in a call its connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Before the token is revoked.
    Before,
    /// After it.
    After,
}

/// What chance decides on one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How long the call takes.
    pub delay: Duration,
    /// Whether its connection is reset.
    pub fault: Option<Fault>,
    /// Whether the token is one that answers `01`.
    pub reject: bool,
}

impl Script {
    /// What happens on a token's `visit`, counted from 1.
    #[must_use]
    pub fn plan(&self, token: Fingerprint, visit: u32) -> Plan {
        let mut of_token = self.chance(token, 0);
        let mut of_call = self.chance(token, visit);
        // Every number is drawn on every call, so that one option does not shift the others' chances.
        let (jitter, slow, fault, late) =
            (of_call.f64(), of_call.f64(), of_call.f64(), of_call.bool());
        let base = if slow < self.slow_share { self.slow_latency } else { self.latency };
        Plan {
            delay: base + self.latency_jitter.mul_f64(jitter),
            fault: (fault < self.fault_share).then_some(if late {
                Fault::After
            } else {
                Fault::Before
            }),
            reject: of_token.f64() < self.reject_share,
        }
    }

    /// Whether a call may be made on behalf of this client.
    #[must_use]
    pub fn welcomes(&self, client_id: &str, client_secret: &str) -> bool {
        self.clients.is_empty()
            || self
                .clients
                .get(client_id)
                .is_some_and(|secret| secret.expose_secret() == client_secret)
    }

    /// Whether a token is one of those that always answer `01`, by its text.
    #[must_use]
    pub fn condemns(&self, token: &str) -> bool {
        self.reject_prefix.as_deref().is_some_and(|prefix| token.starts_with(prefix))
    }

    fn chance(&self, token: Fingerprint, visit: u32) -> Rng {
        let mut hasher = DefaultHasher::new();
        (self.seed, token, visit).hash(&mut hasher);
        Rng::with_seed(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(script: &Script) -> Vec<Plan> {
        (0..10_000)
            .map(|i| script.plan(Fingerprint::of(&format!("token-{i}")), 1 + i % 3))
            .collect()
    }

    fn share(plans: &[Plan], of: impl Fn(&Plan) -> bool) -> f64 {
        let count = u32::try_from(plans.iter().filter(|plan| of(plan)).count()).unwrap();
        f64::from(count) / 10_000.0
    }

    fn chancy() -> Script {
        Script {
            seed: 7,
            latency: Duration::from_millis(50),
            latency_jitter: Duration::from_millis(20),
            slow_share: 0.05,
            slow_latency: Duration::from_secs(10),
            reject_share: 0.2,
            fault_share: 0.1,
            ..Script::default()
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run_and_another_gives_another() {
        assert_eq!(plans(&chancy()), plans(&chancy()));
        assert_ne!(plans(&chancy()), plans(&Script { seed: 8, ..chancy() }));
    }

    #[test]
    fn shares_are_kept() {
        let plans = plans(&chancy());
        let near = |found: f64, wanted: f64| (found - wanted).abs() < 0.02;
        assert!(near(share(&plans, |plan| plan.reject), 0.2));
        assert!(near(share(&plans, |plan| plan.fault == Some(Fault::Before)), 0.05));
        assert!(near(share(&plans, |plan| plan.fault == Some(Fault::After)), 0.05));
        assert!(near(share(&plans, |plan| plan.delay >= Duration::from_secs(10)), 0.05));
        let quick = Duration::from_millis(50)..Duration::from_millis(70);
        assert!(near(share(&plans, |plan| quick.contains(&plan.delay)), 0.95));
    }

    #[test]
    fn a_rejected_token_is_rejected_on_every_visit() {
        let script = Script { reject_share: 0.5, ..Script::default() };
        for i in 0..100 {
            let token = Fingerprint::of(&format!("token-{i}"));
            let first = script.plan(token, 1).reject;
            assert!((2..10).all(|visit| script.plan(token, visit).reject == first));
        }
    }

    #[test]
    fn the_default_answers_at_once_and_well() {
        let calm = Plan { delay: Duration::ZERO, fault: None, reject: false };
        assert!(plans(&Script::default()).iter().all(|plan| *plan == calm));
        assert!(Script::default().welcomes("anyone", "anything"));
        assert!(!Script::default().condemns("token"));
    }

    #[test]
    fn shares_of_one_take_everything() {
        let script =
            Script { reject_share: 1.0, fault_share: 1.0, slow_share: 1.0, ..Script::default() };
        assert!(plans(&script).iter().all(|plan| plan.reject && plan.fault.is_some()));
    }
}
