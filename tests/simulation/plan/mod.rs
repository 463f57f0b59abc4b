//! The plan of a schedule, drawn before it begins.

mod mode;
mod settings;
mod timed_fault;

use std::time::{Duration, SystemTime};

use revoker::domain::{ClientKey, Failure, Lane, MAX_TEXT_CHARS, has_passed};

pub use mode::{EndpointMode, LONGEST_CALL, Reply, Says, fail};
pub use settings::{DEFAULT_CLIENT, WorkerPlan};
pub use timed_fault::{Fault, TimedFault};

use crate::dice::Dice;

/// A client whose secret is sometimes withdrawn.
const ROTATING: &str = "rotating";

/// A client whose calls may all fail while those of others are answered.
const UNLUCKY: &str = "unlucky";

/// A client without a configured secret.
const STRANGER: &str = "stranger";

/// One schedule.
pub struct Plan {
    pub seed: u64,
    pub worker: WorkerPlan,
    pub replicas: usize,
    pub jobs: Vec<JobPlan>,
    /// Whether the endpoint knows each token, by number.
    pub tokens: Vec<bool>,
    /// The modes of the endpoint, each with its end.
    pub modes: Vec<(Duration, EndpointMode)>,
    /// The failure of the unlucky client's calls, until `calm_after`.
    pub bad_luck: Option<Failure>,
    pub faults: Vec<TimedFault>,
    /// The time after which no fault happens, and every job has to end.
    pub calm_after: Duration,
}

/// One job as its producer publishes it.
#[derive(Debug, Clone)]
pub struct JobPlan {
    pub at: Duration,
    pub lane: Lane,
    pub token: usize,
    pub kind: Kind,
    /// Whether its producer forges a history.
    pub forged: bool,
    /// Whether its producer got no confirm and publishes it again.
    pub twice: bool,
}

/// The kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sound,
    /// The token expires this long after the job was published.
    Expiring(Duration),
    /// A job of the client whose secret is withdrawn and restored.
    Rotating,
    /// A job of the client whose calls may all fail.
    Unlucky,
    Stranger,
    /// Its body is no job.
    NoJob,
}

/// The key that identifies jobs with the same call: token and client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub token: usize,
    client: ClientKey,
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let dice = &Dice::new(seed);
        let calm_after = dice.pick(&[5, 30, 120, 600, 1800]);
        let calm_after = dice.time(Duration::from_secs(2), Duration::from_secs(calm_after));
        let tokens: Vec<bool> = (0..dice.between(1, 12)).map(|_| !dice.one_in(6)).collect();
        let jobs = (0..dice.between(1, 30)).map(|_| job(dice, tokens.len(), calm_after)).collect();
        let replicas = if dice.one_in(4) { 2 } else { 1 };
        Self {
            seed,
            worker: WorkerPlan::draw(dice),
            replicas,
            jobs,
            tokens,
            modes: mode::draw(dice, calm_after),
            bad_luck: dice.one_in(2).then(|| mode::failure(dice)),
            faults: timed_fault::draw(dice, calm_after, replicas),
            calm_after,
        }
    }

    /// The mode of the endpoint after this time.
    pub fn mode(&self, elapsed: Duration) -> EndpointMode {
        let now = self.modes.iter().find(|(until, _)| elapsed < *until);
        now.map_or(EndpointMode::Fair, |(_, mode)| *mode)
    }
}

impl JobPlan {
    /// The key, if the job makes calls at all.
    pub fn key(&self) -> Option<Key> {
        match self.kind {
            Kind::NoJob | Kind::Stranger => None,
            Kind::Sound | Kind::Expiring(_) | Kind::Rotating | Kind::Unlucky => {
                Some(Key { token: self.token, client: self.client() })
            }
        }
    }

    /// The client, as the flow knows it.
    pub const fn client(&self) -> ClientKey {
        match self.kind {
            Kind::Rotating => ClientKey(1),
            Kind::Unlucky => ClientKey(2),
            _ => ClientKey(0),
        }
    }

    /// The expiry of the token in Unix seconds, for a job that was published at `published`.
    fn expires_at(&self, published: SystemTime) -> Option<u64> {
        let Kind::Expiring(after) = self.kind else { return None };
        let since_epoch = published.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(since_epoch.as_secs() + after.as_secs())
    }

    /// Whether the token has expired, for a job that was published at `published`.
    pub fn expired(&self, published: SystemTime, now: SystemTime) -> bool {
        let at = self.expires_at(published).map(Duration::from_secs);
        at.is_some_and(|at| has_passed(SystemTime::UNIX_EPOCH + at, now))
    }

    /// The message's body.
    pub fn body(&self, number: usize, published: SystemTime) -> Vec<u8> {
        let token = format!("token-{}", self.token);
        match self.kind {
            Kind::Sound => format!(r#"{{"refresh_token":"{token}","other":{number}}}"#),
            Kind::Expiring(_) => {
                let at = self.expires_at(published).unwrap_or_default();
                format!(r#"{{"refresh_token":"{token}","expires_at":{at}}}"#)
            }
            Kind::Rotating => format!(r#"{{"refresh_token":"{token}","client_id":"{ROTATING}"}}"#),
            Kind::Unlucky => format!(r#"{{"refresh_token":"{token}","client_id":"{UNLUCKY}"}}"#),
            Kind::Stranger => format!(r#"{{"refresh_token":"{token}","client_id":"{STRANGER}"}}"#),
            Kind::NoJob => match number % 4 {
                0 => String::new(),
                1 => format!(r#"{{"refresh_token":"{token}""#),
                2 => format!(r#"{{"refresh_token":{number}}}"#),
                _ => format!(r#"{{"refresh_token":"{}"}}"#, "x".repeat(MAX_TEXT_CHARS + 1)),
            },
        }
        .into_bytes()
    }
}

/// How many clients are configured.
pub const CLIENTS: usize = 3;

/// The client of that name, if there is a secret for it; the rotating one's may be withdrawn.
pub fn client(id: &str, withdrawn: bool) -> Option<ClientKey> {
    match id {
        DEFAULT_CLIENT => Some(ClientKey(0)),
        ROTATING => (!withdrawn).then_some(ClientKey(1)),
        UNLUCKY => Some(ClientKey(2)),
        _ => None,
    }
}

/// Whether all calls of this client may fail while those of others are answered.
pub fn is_unlucky(client: ClientKey) -> bool {
    client == ClientKey(2)
}

fn job(dice: &Dice, tokens: usize, calm_after: Duration) -> JobPlan {
    JobPlan {
        at: dice.up_to(if dice.one_in(3) { calm_after } else { calm_after / 10 }),
        lane: dice.pick(&Lane::ALL),
        token: dice.between(0, tokens - 1),
        kind: match dice.between(0, 19) {
            0 => Kind::NoJob,
            1 => Kind::Stranger,
            2 | 3 => Kind::Rotating,
            6..9 => Kind::Unlucky,
            4 | 5 => Kind::Expiring(Duration::from_secs(dice.between(0, 120) as u64)),
            _ => Kind::Sound,
        },
        forged: dice.one_in(10),
        twice: dice.one_in(20),
    }
}
