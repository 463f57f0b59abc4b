//! The shared state of a schedule.

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

/// All parts outside the workers.
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

/// A temporary fault.
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
            // A separate stream from the plan's, so that a mutant with other draws has the same plan.
            dice: Dice::new(!plan.seed),
            mutant,
            broker: Broker::new(&plan.worker.pipeline),
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

    /// Ends all faults.
    pub fn becomes_calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.witness.note(|| "calm".to_owned());
    }

    /// Whether a random fault happens, once in `one_in` times; never after the faults have ended.
    pub fn bad_luck(&self, one_in: usize) -> bool {
        !self.calm.load(Ordering::Relaxed) && self.dice.one_in(one_in)
    }

    /// Starts a temporary fault.
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

    /// The end of a fault, if it is active.
    pub fn until(&self, condition: Condition) -> Option<Instant> {
        if self.calm.load(Ordering::Relaxed) {
            return None;
        }
        lock(&self.conditions).get(&condition).copied().filter(|until| *until > Instant::now())
    }

    pub fn has(&self, condition: Condition) -> bool {
        self.until(condition).is_some()
    }

    /// Revokes a token; returns whether it did. A token is revoked only once.
    pub fn revokes(&self, token: usize) -> bool {
        let known = self.plan.tokens[token];
        known && !std::mem::replace(&mut lock(&self.revoked)[token], true)
    }
}

/// Locks a mutex that an intended panic in a call may have poisoned.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
