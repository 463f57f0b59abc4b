//! What all parts of a schedule share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    broker::Broker, clock::WallClock, dice::Dice, mutants::Mutant, plan::Plan, witness::Witness,
};

/// Everything outside the workers.
pub struct World {
    pub plan: Arc<Plan>,
    pub dice: Dice,
    pub clock: Arc<WallClock>,
    pub mutant: Option<Mutant>,
    pub broker: Broker,
    pub witness: Witness,
    /// Tokens that the endpoint has revoked.
    revoked: Mutex<Vec<bool>>,
    conditions: Mutex<BTreeMap<Condition, Instant>>,
    calm: AtomicBool,
}

/// What is the matter for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    DeadRefuses,
    RetryRefuses,
    Blocked,
    Down,
    Withdrawn,
}

impl World {
    pub fn new(plan: Plan, mutant: Option<Mutant>, recording: bool) -> Arc<Self> {
        let plan = Arc::new(plan);
        let clock = Arc::new(WallClock::new());
        Arc::new(Self {
            // Another stream than the plan's: a mutant that draws otherwise has the same plan.
            dice: Dice::new(!plan.seed),
            mutant,
            broker: Broker::new(&plan.worker.pipeline.policy.retry.park),
            witness: Witness::new(Arc::clone(&plan), Arc::clone(&clock), recording),
            revoked: Mutex::new(vec![false; plan.tokens.len()]),
            conditions: Mutex::default(),
            calm: AtomicBool::new(false),
            plan,
            clock,
        })
    }

    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// From now on nothing goes wrong any more.
    pub fn becomes_calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.witness.note(|| "calm".to_owned());
    }

    /// Something goes wrong, once in so many times; never in the calm.
    pub fn bad_luck(&self, one_in: usize) -> bool {
        !self.calm.load(Ordering::Relaxed) && self.dice.one_in(one_in)
    }

    /// Something is the matter from now on, for a while.
    pub fn set(&self, condition: Condition, a_while: Duration) {
        let until = Instant::now() + a_while;
        lock(&self.conditions).insert(condition, until);
        let fault = match condition {
            Condition::DeadRefuses => "dead-letter queue refuses",
            Condition::RetryRefuses => "retry queues refuse",
            Condition::Blocked => "publishing blocked",
            Condition::Down => "broker down",
            Condition::Withdrawn => "secret withdrawn",
        };
        self.witness.count("fault", fault);
    }

    /// When it ends, if it is the matter now.
    pub fn until(&self, condition: Condition) -> Option<Instant> {
        if self.calm.load(Ordering::Relaxed) {
            return None;
        }
        lock(&self.conditions).get(&condition).copied().filter(|until| *until > Instant::now())
    }

    pub fn has(&self, condition: Condition) -> bool {
        self.until(condition).is_some()
    }

    /// The endpoint is asked to revoke a token: whether it does. Not idempotent: it does so once.
    pub fn revokes(&self, token: usize) -> bool {
        let known = self.plan.tokens[token];
        known && !std::mem::replace(&mut lock(&self.revoked)[token], true)
    }
}

/// A lock that a panic on purpose, in a call, may have poisoned.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
