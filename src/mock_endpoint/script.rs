//! Plans the mock's behaviour for a call. The same seed gives the same plan.
//!
//! Random numbers depend on the seed, the token and the number of its calls. They do not depend on the order of
//! the calls, so a run with hundreds of parallel calls can be repeated. Another Rust release or another version of
//! `fastrand` may give other numbers.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

use super::outage::MockOutage;
use crate::{
    domain::Fingerprint,
    endpoint::{self, Profile, Repeat},
};

/// The behaviour of the mock, and the options that set it. The default revokes every token at once.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Script {
    /// Play a server of this endpoint profile: built in, or the path of a file
    #[arg(long, value_name = "NAME|FILE", value_parser = profile)]
    pub profile: Option<Arc<Profile>>,
    /// The seed of the random numbers
    #[arg(long, value_name = "N", default_value = "0")]
    pub seed: u64,
    /// How long every call takes
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub latency: Duration,
    /// The largest random addition to --latency, evenly distributed
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub latency_jitter: Duration,
    /// The share of calls that take --slow-latency
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub slow_share: f64,
    /// How long a slow call takes
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub slow_latency: Duration,
    /// The share of tokens that are answered 01
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub reject_share: f64,
    /// Answer 01 to every token with this prefix
    #[arg(long, value_name = "TEXT")]
    pub reject_prefix: Option<String>,
    /// The share of calls whose connection is reset without an answer, half of them after revoking
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub fault_share: f64,
    /// The answer to every call in place of an envelope. No token is revoked then.
    #[arg(skip)]
    pub canned: Option<CannedAnswer>,
    /// The outage, if there is one.
    #[arg(skip)]
    pub outage: Option<MockOutage>,
    /// Repeat the token and the client secret in every message
    #[arg(long)]
    pub echo: bool,
    /// Answer 429 beyond this number of parallel calls
    #[arg(long, value_name = "N")]
    pub max_parallel: Option<usize>,
    /// Send Retry-After with 429 and with --status
    #[arg(long, value_name = "SECONDS")]
    pub retry_after: Option<u64>,
    /// Answer 00 to the second revocation of a token too; the real endpoint is assumed to answer 01
    #[arg(long)]
    pub idempotent: bool,
    /// The accepted clients and their secrets. If there are none, every client is accepted.
    #[arg(skip)]
    pub clients: BTreeMap<String, SecretString>,
}

fn profile(name: &str) -> Result<Arc<Profile>, String> {
    endpoint::find_profile(name)
}

fn share(value: &str) -> Result<f64, &'static str> {
    let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or("a share is a number from 0 to 1")
}

/// A fixed answer in place of an envelope.
#[derive(Debug, Clone)]
pub struct CannedAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its body.
    pub body: Bytes,
}

/// The point of a call at which its connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResetPoint {
    Before,
    After,
}

/// The random choices for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallPlan {
    pub(super) delay: Duration,
    /// The point at which its connection is reset, if it is.
    pub(super) fault: Option<ResetPoint>,
    pub(super) reject: bool,
}

impl Script {
    /// Plans the `nth` call for a token, counted from 1.
    pub(super) fn plan(&self, token: Fingerprint, nth: u32) -> CallPlan {
        let mut of_token = self.random(token, 0);
        let mut of_call = self.random(token, nth);
        // Every number is drawn on every call, so that one option does not change the numbers of another.
        let (jitter, slow, fault, late) =
            (of_call.f64(), of_call.f64(), of_call.f64(), of_call.bool());
        let base = if slow < self.slow_share { self.slow_latency } else { self.latency };
        CallPlan {
            delay: base + self.latency_jitter.mul_f64(jitter),
            fault: (fault < self.fault_share).then_some(if late {
                ResetPoint::After
            } else {
                ResetPoint::Before
            }),
            reject: of_token.f64() < self.reject_share,
        }
    }

    /// Returns whether this client may call with this secret.
    pub(crate) fn accepts_client(&self, client_id: &str, client_secret: &str) -> bool {
        self.clients.is_empty()
            || self
                .clients
                .get(client_id)
                .is_some_and(|secret| secret.expose_secret() == client_secret)
    }

    /// Returns the profile of the mock; `None` for the default one.
    pub(super) fn other_profile(&self) -> Option<&Profile> {
        self.profile.as_deref().filter(|profile| !profile.is_alignet())
    }

    /// Returns whether the second revocation of a token is answered as the first one.
    pub(super) fn is_idempotent(&self) -> bool {
        let repeat = self.profile.as_ref().map(|profile| profile.repeat);
        self.idempotent || matches!(repeat, Some(Repeat::Revoked | Repeat::Accepted))
    }

    /// Returns whether the token has the prefix that is always answered `01`.
    pub(crate) fn always_rejects(&self, token: &str) -> bool {
        self.reject_prefix.as_deref().is_some_and(|prefix| token.starts_with(prefix))
    }

    fn random(&self, token: Fingerprint, nth: u32) -> Rng {
        let mut hasher = DefaultHasher::new();
        (self.seed, token, nth).hash(&mut hasher);
        Rng::with_seed(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(script: &Script) -> Vec<CallPlan> {
        (0..10_000)
            .map(|i| script.plan(Fingerprint::of(&format!("token-{i}")), 1 + i % 3))
            .collect()
    }

    fn share(plans: &[CallPlan], of: impl Fn(&CallPlan) -> bool) -> f64 {
        let count = u32::try_from(plans.iter().filter(|plan| of(plan)).count()).unwrap();
        f64::from(count) / 10_000.0
    }

    fn random_script() -> Script {
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
        assert_eq!(plans(&random_script()), plans(&random_script()));
        assert_ne!(plans(&random_script()), plans(&Script { seed: 8, ..random_script() }));
    }

    #[test]
    fn shares_are_kept() {
        let plans = plans(&random_script());
        let near = |found: f64, wanted: f64| (found - wanted).abs() < 0.02;
        assert!(near(share(&plans, |plan| plan.reject), 0.2));
        assert!(near(share(&plans, |plan| plan.fault == Some(ResetPoint::Before)), 0.05));
        assert!(near(share(&plans, |plan| plan.fault == Some(ResetPoint::After)), 0.05));
        assert!(near(share(&plans, |plan| plan.delay >= Duration::from_secs(10)), 0.05));
        let quick = Duration::from_millis(50)..Duration::from_millis(70);
        assert!(near(share(&plans, |plan| quick.contains(&plan.delay)), 0.95));
    }

    #[test]
    fn a_rejected_token_is_rejected_on_every_call() {
        let script = Script { reject_share: 0.5, ..Script::default() };
        for i in 0..100 {
            let token = Fingerprint::of(&format!("token-{i}"));
            let first = script.plan(token, 1).reject;
            assert!((2..10).all(|nth| script.plan(token, nth).reject == first));
        }
    }

    #[test]
    fn the_default_revokes_at_once() {
        let expected = CallPlan { delay: Duration::ZERO, fault: None, reject: false };
        assert!(plans(&Script::default()).iter().all(|plan| *plan == expected));
        assert!(Script::default().accepts_client("anyone", "anything"));
        assert!(!Script::default().always_rejects("token"));
    }

    #[test]
    fn shares_of_one_take_everything() {
        let script =
            Script { reject_share: 1.0, fault_share: 1.0, slow_share: 1.0, ..Script::default() };
        assert!(plans(&script).iter().all(|plan| plan.reject && plan.fault.is_some()));
    }
}
