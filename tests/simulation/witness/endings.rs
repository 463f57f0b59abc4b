//! The rules of outcomes, from the observations of the job and the endpoint.

use std::time::Duration;

use revoker::domain::{Ambiguity, Completion, DeadLetter, History, Outcome, Reason, ResultLabel};

use super::{
    Number, State,
    record::{Conclusion, Record},
};
use crate::{
    clock::WallClock,
    plan::{Kind, Plan},
};

impl State {
    /// The violated rules if a delivery ends with this outcome.
    pub fn faults_of_outcome(
        &mut self,
        number: Number,
        outcome: &Outcome,
        history: &History,
        plan: &Plan,
        clock: &WallClock,
    ) -> Vec<String> {
        let cut_off = self.life(number).cut_off;
        let leaves = cut_off || self.life(number).draining.is_some();
        let others = self.others_answered(number);
        let paused = self.least_paused(number, plan);
        let suspected = self.record(number).key.is_some_and(|key| self.ambiguous.contains(&key));
        let record = self.record(number);
        let job = &plan.jobs[record.job];
        let expired = job.expired(record.published, clock.now());
        let mut faults = Vec::new();
        let mut fault = |broken: bool, rule: &str| {
            if broken {
                faults.push(format!("{number}: {rule}: {outcome:?}, {history:?}"));
            }
        };
        fault(record.calling.is_some(), "settled in the midst of a call");
        match outcome {
            Outcome::Done(completion) => {
                fault(!record.is_proved(*completion, plan, expired), "done without proof");
            }
            Outcome::DeadLettered(letter) => {
                let rule = record.fault_of_dead_letter(letter, history, plan, job.kind, others);
                fault(rule.is_some(), rule.unwrap_or_default());
            }
            Outcome::Parked(delay) => {
                let rule = record.fault_of_stay(*delay, history, plan);
                fault(rule.is_some(), rule.unwrap_or_default());
            }
            Outcome::Requeued => {
                let hold = plan.worker.pipeline.policy.retry.hold;
                let asked = leaves || record.lost.is_some() || record.at.elapsed() >= hold;
                fault(!asked, "requeued though nothing asked for it");
                fault(record.verdict.is_some() && !cut_off, "requeued in spite of its verdict");
                fault(record.panicked && !cut_off, "requeued after it broke the worker");
            }
        }
        let attempts = record.history.attempts + record.calls;
        fault(history.attempts != attempts, "its calls were not counted");
        // The pauses do not affect any other dead letter.
        let put_off = match outcome {
            Outcome::DeadLettered(letter) => letter.reason == Reason::Exhausted,
            Outcome::Parked(_) => true,
            Outcome::Done(_) | Outcome::Requeued => false,
        };
        let counts = history.first_failed_at.is_some() && put_off && !record.panicked;
        // Only the wall clock measures a stay.
        fault(
            counts && !clock.was_stepped() && history.paused < paused,
            "counts a pause as failing",
        );
        let attempt = history.ambiguity == Some(Ambiguity::Attempt);
        fault(attempt && !suspected, "claims an attempt that may have worked");
        // A finished job needs no ambiguity any more.
        let forgets = !attempt && record.may_have_worked && !matches!(outcome, Outcome::Done(_));
        fault(forgets, "forgets an attempt that may have worked");
        faults
    }

    /// The least time that its calls were paused since it failed, as observed by the worker.
    fn least_paused(&mut self, number: Number, plan: &Plan) -> Duration {
        let record = self.record(number);
        let failed_before = record.history.first_failed_at.is_some();
        let since = if failed_before { Some(record.at) } else { record.failing_since };
        let (before, job) = (record.history.paused, record.job);
        // A body that is no job has no client, and an uncalled job has no counted pause.
        let Some(since) = since.filter(|_| record.failed) else { return Duration::ZERO };
        before + self.paused_since(number, plan.jobs[job].client(), since)
    }

    /// Whether the endpoint answered another job since this one's latest call began.
    fn others_answered(&mut self, number: Number) -> bool {
        let Some(began) = self.record(number).called else { return false };
        self.life(number).answers.iter().any(|(at, who)| *at >= began && *who != number)
    }
}

impl Record {
    fn is_proved(&self, completion: Completion, plan: &Plan, expired: bool) -> bool {
        let presumes = plan.worker.pipeline.policy.presume_revoked_after_ambiguity;
        match (completion, self.verdict) {
            (Completion::Revoked, Some(Conclusion::Revoked)) => self.own,
            (Completion::Duplicate, Some(Conclusion::Revoked)) => !self.own,
            (Completion::Duplicate, None) => self.remembered,
            (Completion::PresumedRevoked, Some(Conclusion::Rejected)) => {
                presumes && self.may_have_worked
            }
            (Completion::Expired, None) => expired && self.key.is_some(),
            _ => false,
        }
    }

    /// The rule that a dead letter breaks.
    fn fault_of_dead_letter(
        &self,
        letter: &DeadLetter,
        history: &History,
        plan: &Plan,
        kind: Kind,
        others_answered: bool,
    ) -> Option<&'static str> {
        let policy = &plan.worker.pipeline.policy;
        let age = history.age(letter.dead_at);
        let rejected = self.verdict == Some(Conclusion::Rejected);
        let doubtful = self.may_have_worked || self.redelivered || self.history.ambiguity.is_some();
        let rules = match letter.reason {
            Reason::InvalidJob => vec![(kind == Kind::NoJob, "a sound job called invalid")],
            Reason::UnknownClient => vec![
                (matches!(kind, Kind::Stranger | Kind::Rotating), "a known client called unknown"),
                (self.calls == 0 || self.refused, "a client called unknown after a call"),
            ],
            Reason::Rejected => vec![
                (rejected, "dead-lettered without the endpoint's answer"),
                (!doubtful, "dead-lettered without the ambiguity of an earlier attempt"),
            ],
            Reason::RejectedAfterAmbiguity => {
                let presumed = policy.presume_revoked_after_ambiguity && self.may_have_worked;
                vec![
                    (rejected, "dead-lettered without the endpoint's answer"),
                    (history.ambiguity.is_some(), "its ambiguity is not told"),
                    (!presumed, "dead-lettered although it is presumed revoked"),
                ]
            }
            Reason::Exhausted => vec![
                (self.failed, "given up without a failure"),
                (others_answered, "given up in an outage"),
                (age.is_some_and(|age| age >= policy.retry.give_up_after), "given up too early"),
            ],
            Reason::InternalError => vec![(self.panicked, "a fault that there was not")],
            // The default profile has no such answers.
            Reason::Gone | Reason::StillActive => vec![(false, "a reason of another profile")],
        };
        rules.into_iter().find(|(kept, _)| !kept).map(|(_, rule)| rule)
    }

    /// The rule that a stay in a retry queue breaks.
    fn fault_of_stay(
        &self,
        delay: Duration,
        history: &History,
        plan: &Plan,
    ) -> Option<&'static str> {
        let retry = &plan.worker.pipeline.policy.retry;
        let failed = self.failed || history.ambiguity == Some(Ambiguity::Attempt);
        // A follower, or a job of a paused client, is set aside for lack of room.
        let aside = history.stays == self.history.stays;
        let rules = [
            (self.verdict.is_none(), "parked in spite of its verdict"),
            (!self.panicked, "parked after it broke the worker"),
            (failed || aside, "parked without a failure"),
            (aside || history.stays == self.history.stays + 1, "its stays were not counted"),
            (retry.park.contains(&delay), "parked for a time that no queue is for"),
            (aside || delay >= retry.stay(self.history.stays), "parked for too short a time"),
            (history.last_error != Some(ResultLabel::Revoked), "parked for an error that is none"),
        ];
        rules.into_iter().find(|(kept, _)| !kept).map(|(_, rule)| rule)
    }
}
