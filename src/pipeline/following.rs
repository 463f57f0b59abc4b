//! Duplicate jobs in flight: one makes the call, the others follow its verdict.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Pipeline,
    duplicates::{DuplicateRole, Follower, FollowerOutcome},
    job_context::JobContext,
};
use crate::{
    domain::{Ambiguity, Completion, Decision, Job, Outcome, Verdict, judge},
    ports::{Clock, Endpoint},
};

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// Makes one call for all duplicates in flight, and none for a token that was revoked recently.
    pub(super) async fn call_once(&self, job: &Job, context: &mut JobContext) -> Outcome {
        match self.duplicates.enter(job.key(), context.lane, context.history.ambiguity) {
            DuplicateRole::RecentlyRevoked => Outcome::Done(Completion::Duplicate),
            DuplicateRole::Leader(leader) => self.call_until_decided(job, context, leader).await,
            // Boxed: most jobs follow none, and would move this future with them.
            DuplicateRole::Follower(follower) => {
                Box::pin(self.follow(follower, job, context)).await
            }
        }
    }

    /// Waits for the verdict on another job's call for the same token.
    async fn follow(&self, follower: Follower, job: &Job, context: &mut JobContext) -> Outcome {
        // A follower stays when draining starts. The verdict may arrive soon, and a second call for the same token
        // could be rejected because of it. A leader that only waits leaves at once, and then its followers lead and
        // leave one after the other.
        //
        // A follower takes a place among the jobs that wait: copies of one stuck token must not fill the
        // lane.
        let mut place = self.backing_off.enter(context.lane, Instant::now());
        let ended = tokio::select! {
            biased;
            ended = follower.outcome() => Ok(ended),
            () = place.evicted() => Err(true),
            () = context.lost.cancelled() => Err(false),
            () = self.overstayed(self.settings.policy.retry.hold, context) => Err(false),
        };
        drop(place);
        match ended {
            Ok(FollowerOutcome::Revoked) => Outcome::Done(Completion::Duplicate),
            Ok(FollowerOutcome::Answered(verdict, ambiguity)) => {
                // It holds this job's own ambiguity too, unless the token was seen active since.
                context.history.ambiguity = ambiguity;
                self.answered(verdict, job, context)
            }
            Ok(FollowerOutcome::Lead(leader)) => {
                self.call_until_decided(job, context, leader).await
            }
            Err(evicted) => {
                // The other job's call may be in flight.
                context.suspect(Some(Ambiguity::Redelivered));
                if evicted && !self.stop.is_draining() {
                    self.set_aside(context, Duration::ZERO)
                } else {
                    Outcome::Requeued
                }
            }
        }
    }

    /// Applies the answer to another job's call to this job.
    fn answered(&self, verdict: Verdict, job: &Job, context: &mut JobContext) -> Outcome {
        let attempt = self.attempt_context(job, context, false);
        match judge(verdict, &mut context.history, &self.settings.policy, attempt) {
            Decision::Finish(outcome) => outcome,
            // After the endpoint's own answer, no job waits. If that changes, the job is delivered again.
            Decision::Wait { .. } => Outcome::Requeued,
        }
    }
}
