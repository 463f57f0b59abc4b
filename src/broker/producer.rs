//! Publishes new jobs to a lane, for `revoker enqueue`.

use std::{mem, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use lapin::types::ShortString;
use tokio::time::sleep;

use super::{
    batch::{self, Interruption, OutgoingRef, PublishResult},
    confirm_channel::DedicatedChannel,
    confirm_timeout::ConfirmTimeout,
    headers,
    pending::{BatchLimits, ConnectionUse, NextStep, Pending, PendingMessage},
    publish_health::PublishHealth,
    queues::Queues,
    settings::BrokerSettings,
    topology::{self, PrepareError},
};
use crate::{
    domain::{Backoff, Lane, Schedule},
    ports::{Clock, SystemClock, Unpublishable},
};

const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(100),
    multiplier: 2.0,
    max: Duration::from_secs(5),
    jitter: 0.5,
};

/// Publishes jobs persistent, mandatory and confirmed, and retries until all are.
///
/// [`Publishing`](super::Publishing) serves many senders with one message each. This type serves one caller with
/// thousands of jobs at a time.
pub struct Producer {
    settings: Arc<BrokerSettings>,
    queues: Queues,
    channel: DedicatedChannel,
    confirm_timeout: ConfirmTimeout,
    backoff: Backoff,
    health: PublishHealth,
}

impl Producer {
    pub fn new(settings: Arc<BrokerSettings>) -> Self {
        Self {
            queues: Queues::new(&settings.queue, &settings.park),
            channel: DedicatedChannel::new(&settings),
            confirm_timeout: ConfirmTimeout::new(settings.confirm_timeout),
            backoff: RETRY.start(),
            health: PublishHealth::default(),
            settings,
        }
    }

    /// Connects, and declares the queues or checks that they exist.
    pub async fn prepare(&mut self) -> Result<(), PrepareError> {
        self.channel.prepare(&self.queues).await
    }

    /// Publishes jobs until the lane has confirmed all of them, or until `given_up` completes. Unconfirmed jobs stay
    /// in `jobs`. A job whose confirm was lost is published twice. Returns the jobs that the broker refuses while it
    /// accepts others.
    pub async fn publish<J: AsRef<[u8]>>(
        &mut self,
        lane: Lane,
        jobs: &mut Vec<J>,
        given_up: impl Future<Output = ()>,
    ) -> Vec<(J, Unpublishable)> {
        let mut pending = Pending::new(BatchLimits::ONE_CALLER, Arc::default());
        for job in mem::take(jobs) {
            let size = job.as_ref().len();
            pending.push(job, size);
        }
        let mut refused = Vec::new();
        let queue = self.queues.lane(lane).clone();
        // Dropping the work instead would lose which jobs were confirmed.
        let given_up = given_up.shared();
        while !pending.is_empty() && given_up.peek().is_none() {
            match self.attempt(&queue, &mut pending, &mut refused, given_up.clone()).await {
                NextStep::Continue => {
                    self.backoff.reset();
                    self.health.cleared(queue.as_str());
                }
                NextStep::Reopen(why) => {
                    self.health.failed(queue.as_str(), why, pending.len());
                    self.channel.close().await;
                }
                NextStep::Wait(why) => {
                    self.health.failed(queue.as_str(), why, pending.len());
                    self.channel.close().await;
                    tokio::select! {
                        biased;
                        () = given_up.clone() => {}
                        () = sleep(self.backoff.next(crate::ports::jitter())) => {}
                    }
                }
            }
        }
        *jobs = pending.into_messages();
        refused
    }

    pub async fn close(mut self) {
        self.channel.close().await;
    }

    async fn attempt<J: AsRef<[u8]>>(
        &mut self,
        queue: &ShortString,
        pending: &mut Pending<J>,
        refused: &mut Vec<(J, Unpublishable)>,
        given_up: impl Future<Output = ()> + Clone,
    ) -> NextStep {
        let connected = tokio::select! {
            biased;
            connected = self.channel.take() => connected,
            () = given_up.clone() => return NextStep::Wait(Interruption::GivenUp.to_string()),
        };
        let channel = match connected {
            Ok(channel) => channel,
            Err(unreachable) => return NextStep::Wait(unreachable.to_string()),
        };
        let batch = pending.next();
        let properties = headers::of_job(SystemClock.now());
        let jobs = batch.iter().map(|PendingMessage { message, .. }| OutgoingRef {
            queue,
            body: message.as_ref(),
            properties: properties.clone(),
        });
        let sent = batch.len();
        let waits = |problem: Option<&str>| {
            if let Some(problem) = problem {
                self.health.failed(queue.as_str(), problem.to_owned(), sent);
            }
        };
        let published =
            batch::publish(&channel, jobs, &mut self.confirm_timeout, &waits, given_up).await;
        if published.results.contains(&PublishResult::Returned)
            && self.settings.declare.makes_missing()
        {
            // The queue was deleted. If it cannot be declared, the next batch is returned again.
            let declare = self.settings.declare;
            let _ = topology::ensure(&channel.connection, &self.queues, declare).await;
        }
        self.channel.put_back(channel);
        let applied = pending.apply(batch, published, ConnectionUse::Dedicated);
        refused.extend(applied.unpublishable);
        applied.next
    }
}
