//! Unusual or malformed messages, published among ordinary jobs.

use crate::{
    chaos::{Area, Case, Ending, EndpointScript, Evidence, Plan, plan::without_fault, sized},
    harness::{BULK, INTERACTIVE, Message, Stage, token},
};

/// The first token number of these messages, beyond those of the ordinary jobs.
const FIRST: usize = 10_000_000;

/// How the worker must treat such a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is no job: a dead letter without a call.
    Invalid,
    /// It is a job like any other.
    Job,
}

/// One kind of such messages.
#[derive(Debug, Clone, Copy)]
pub struct BadJob {
    /// The name in the published table.
    pub fault: &'static str,
    /// Derives the token of the message from an ordinary token.
    pub token: fn(&str) -> String,
    /// The message, for a token.
    pub message: fn(&str) -> Message,
    pub class: Class,
}

impl BadJob {
    /// Runs a case with `count` of them among ordinary jobs.
    pub async fn run(self, count: usize) {
        let plan = Plan::new(Area::Producer, self.fault).jobs(sized(100, 3_000));
        let mut case = plan.begin_on(Stage::new().await, without_fault).await;
        let good = case.part(1.0);
        self.mix_in(&mut case, 0, count, good).await;
        case.publish_all().await;
        let worker = case.ready().await;
        let called = if self.class == Class::Job { count } else { 0 };
        case.endpoint.until_count(case.part(1.0) + called).await;
        let evidence = self.fired(&case, 0, count);
        case.close([worker], evidence, 0).await;
    }

    /// Publishes `count` of them from the number `first` on, with up to `good` jobs of the plan between
    /// them.
    pub async fn mix_in(self, case: &mut Case, first: usize, count: usize, good: usize) {
        for n in 0..count {
            let token = (self.token)(&token(FIRST + first + n));
            let lane = if n % 2 == 0 { INTERACTIVE } else { BULK };
            let ending = self.ending(&case.script, &token);
            case.publish_own(lane, (self.message)(&token), &token, ending).await;
            case.publish(good / count).await;
        }
    }

    /// The evidence that the worker took them.
    pub fn fired(self, case: &Case, first: usize, count: usize) -> Evidence {
        let numbers = FIRST + first..FIRST + first + count;
        let called =
            numbers.filter(|n| !case.endpoint.of(&(self.token)(&token(*n))).is_empty()).count();
        match self.class {
            // The audit finds each of them in a dead letter with this reason, or fails.
            Class::Invalid => {
                assert_eq!(called, 0, "what is no job was called for");
                Evidence::of(count, "of them taken, none of them called")
            }
            Class::Job => Evidence::of(called, "of them called with their tokens"),
        }
    }

    fn ending(self, script: &EndpointScript, token: &str) -> Ending {
        match self.class {
            Class::Invalid => Ending::Dead(&["invalid_job"]),
            // Nothing here makes a call ambiguous.
            Class::Job if script.always_rejects(token) => Ending::Dead(&["rejected"]),
            Class::Job => Ending::Revoked,
        }
    }
}

/// A token as it is.
pub fn plain(token: &str) -> String {
    token.to_owned()
}
