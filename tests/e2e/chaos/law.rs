//! What the endpoint decides about a token, apart from what a fault makes of its answers.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::seed::mix;
use crate::harness::{Answer, Call};

/// One token of so many is condemned.
const CONDEMNED_OF: u64 = 7;

/// The endpoint's mind. Condemned tokens are rejected at every call. The others are revoked once, and
/// rejected from then on, as the vendor's endpoint has to be expected to do: a call that is made twice
/// shows.
#[derive(Debug, Clone)]
pub struct Law(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    revoked: Mutex<HashSet<String>>,
}

impl Law {
    /// A law that draws the condemned from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Inner { seed, revoked: Mutex::default() }))
    }

    /// Whether a token is condemned.
    pub fn condemns(&self, token: &str) -> bool {
        mix(self.0.seed, token.as_bytes()).is_multiple_of(CONDEMNED_OF)
    }

    /// The answer to a call that nothing is in the way of. It takes effect: the token is revoked from here
    /// on, also if the answer never arrives.
    pub fn answer(&self, call: &Call) -> Answer {
        if self.condemns(&call.token) {
            return Answer::rejected();
        }
        let mut revoked = self.0.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        if revoked.insert(call.token.clone()) { Answer::revoked() } else { Answer::rejected() }
    }
}
