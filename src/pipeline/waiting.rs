//! The limits of waiting in flight, and the end of a delivery without a verdict.

use std::time::Duration;

use tokio::time::Instant;

use super::{Pipeline, crowding::CROWDED_AFTER, job_context::JobContext};
use crate::{
    domain::{Ambiguity, Outcome},
    ports::{Clock, Endpoint},
};

/// If replicas share a rate, a job waits no longer than this for a call in a pause. With a shorter time, jobs that
/// arrive while the consumers start or stop would be requeued again and again.
const IN_PAUSE_SHARING: Duration = Duration::from_secs(1);

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// Runs `wait`. Returns `None` if the worker stops first, the delivery is lost, or the job has been
    /// in flight for too long.
    pub(super) async fn unless_leaving<T>(
        &self,
        context: &JobContext,
        in_pause: Duration,
        wait: impl Future<Output = T>,
    ) -> Option<T> {
        // An answered call is finished with its check, within the grace of the stop.
        let leaves = !context.stays_for_check();
        if leaves && self.stop.is_draining() || context.lost.is_cancelled() {
            return None;
        }
        tokio::select! {
            biased;
            done = wait => Some(done),
            () = self.stop.drain(), if leaves => None,
            () = context.lost.cancelled() => None,
            () = self.overstayed(in_pause, context) => None,
        }
    }

    /// How long a job may wait for a call in a pause. If replicas share a rate, it makes room at once. Otherwise its
    /// lane could not consume again after the pause, and would get no share.
    pub(super) fn longest_wait_in_pause(&self) -> Duration {
        let hold = self.settings.policy.retry.hold;
        if self.flow.shares_rate() { hold.min(IN_PAUSE_SHARING) } else { hold }
    }

    /// Returns once the job has waited for too long. The limit is `in_pause` while calls are paused, a few
    /// seconds in a crowded lane, and the job's own deadline in any case. Otherwise the job may wait, because
    /// it gets a permit in time. There is one timer at a time, because each wait of each job needs one.
    pub(super) async fn overstayed(&self, in_pause: Duration, context: &JobContext) {
        let left = context.leave_by.saturating_duration_since(Instant::now());
        let at_first = CROWDED_AFTER.min(in_pause).min(left);
        tokio::time::sleep(at_first).await;
        // Boxed: few jobs wait for so long.
        Box::pin(async {
            let rest = in_pause.min(left).saturating_sub(at_first);
            tokio::select! {
                biased;
                () = self.overstayed_in_pause(rest, in_pause < left, context) => {}
                () = self.backing_off.crowded_out(context.lane) => {}
            }
        })
        .await;
    }

    /// Waits for `rest`. A job that still has time then waits for a pause, or until it has to leave.
    async fn overstayed_in_pause(&self, rest: Duration, has_time: bool, context: &JobContext) {
        tokio::time::sleep(rest).await;
        if has_time {
            tokio::select! {
                biased;
                () = self.flow.not_running() => {}
                () = tokio::time::sleep_until(context.leave_by) => {}
            }
        }
    }

    /// Ends the delivery without a verdict. A requeued job loses the history of this delivery. So it is parked if an
    /// attempt may have worked, or if it has failed in a crowded lane.
    pub(super) fn leave(&self, context: &mut JobContext) -> Outcome {
        let may_have_worked = context.history.ambiguity == Some(Ambiguity::Attempt);
        let crowded_out =
            self.backing_off.is_crowded(context.lane) && context.failing_for() > Duration::ZERO;
        let can_park = !self.stop.is_draining() && !context.lost.is_cancelled();
        if can_park && (may_have_worked || crowded_out) {
            self.park(context, Duration::ZERO)
        } else {
            Outcome::Requeued
        }
    }

    /// Sends the job to its next retry queue, with a delay of at least `wait`.
    pub(super) fn park(&self, context: &mut JobContext, wait: Duration) -> Outcome {
        self.count_pauses(context);
        let now = self.clock.now();
        Outcome::Parked(self.settings.policy.retry.park(&mut context.history, wait, now))
    }

    /// Sends the job to a retry queue for `wait`, for another reason than its own failure.
    pub(super) fn set_aside(&self, context: &mut JobContext, wait: Duration) -> Outcome {
        self.count_pauses(context);
        let now = self.clock.now();
        Outcome::Parked(self.settings.policy.retry.set_aside(&mut context.history, wait, now))
    }

    /// Notes when the job is requeued, for a source that keeps the history. A queue keeps the message as
    /// it was.
    pub(super) fn note_requeue(&self, context: &mut JobContext) {
        self.count_pauses(context);
        context.history.parked_at = Some(self.clock.now());
    }

    /// Brings the pauses in the job's history up to date.
    pub(super) fn count_pauses(&self, context: &mut JobContext) {
        context.count_pauses(|client, last| self.flow.paused_within(client, last));
    }
}
