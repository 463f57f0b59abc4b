//! Messages that are a nuisance, among jobs that are not.

use crate::{
    chaos::{Area, Ending, Evidence, Law, Plan, Trial, plan::lawful, sized},
    harness::{BULK, INTERACTIVE, Message, Stage, token},
};

/// The numbers of the nuisances' tokens begin here, beyond those of the good jobs.
const FIRST: usize = 10_000_000;

/// What must become of a nuisance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is no job, and is never called for.
    Invalid,
    /// It is a job like any other.
    Job,
}

/// One kind of nuisance.
#[derive(Debug, Clone, Copy)]
pub struct Nuisance {
    /// In the words of the published table.
    pub fault: &'static str,
    /// The token of the nuisance that would have this one.
    pub token: fn(&str) -> String,
    /// The message, for a token.
    pub message: fn(&str) -> Message,
    pub fate: Fate,
}

impl Nuisance {
    /// So many of them come among good jobs.
    pub async fn comes(self, count: usize) {
        let plan = Plan::new(Area::Producer, self.fault).jobs(sized(100, 3_000));
        let mut trial = plan.begin_on(Stage::new().await, lawful).await;
        let good = trial.part(1.0);
        self.mix_in(&mut trial, 0, count, good).await;
        trial.publish_all().await;
        let worker = trial.ready().await;
        let called = if self.fate == Fate::Job { count } else { 0 };
        trial.endpoint.until_count(trial.part(1.0) + called).await;
        let evidence = self.fired(&trial, 0, count);
        trial.close([worker], evidence, 0).await;
    }

    /// Publishes so many of them, the first with the number `first`, and up to `good` jobs of the plan
    /// between them.
    pub async fn mix_in(self, trial: &mut Trial, first: usize, count: usize, good: usize) {
        for n in 0..count {
            let token = (self.token)(&token(FIRST + first + n));
            let lane = if n % 2 == 0 { INTERACTIVE } else { BULK };
            let ending = self.ending(&trial.law, &token);
            trial.publish_own(lane, (self.message)(&token), &token, ending).await;
            trial.publish(good / count).await;
        }
    }

    /// What proves that they were there.
    pub fn fired(self, trial: &Trial, first: usize, count: usize) -> Evidence {
        let numbers = FIRST + first..FIRST + first + count;
        let called =
            numbers.filter(|n| !trial.endpoint.of(&(self.token)(&token(*n))).is_empty()).count();
        match self.fate {
            // The audit finds each of them in a dead letter with this reason, or fails.
            Fate::Invalid => {
                assert_eq!(called, 0, "what is no job was called for");
                Evidence::of(count, "of them taken, none of them called for")
            }
            Fate::Job => Evidence::of(called, "of them called for with their tokens"),
        }
    }

    fn ending(self, law: &Law, token: &str) -> Ending {
        match self.fate {
            Fate::Invalid => Ending::Dead(&["invalid_job"]),
            // Nothing here makes a call ambiguous.
            Fate::Job if law.condemns(token) => Ending::Dead(&["rejected"]),
            Fate::Job => Ending::Revoked,
        }
    }
}

/// A token as it is.
pub fn plain(token: &str) -> String {
    token.to_owned()
}
