//! The sink of `revoker enqueue`: a lane of the broker, or nothing in a dry run.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::args::EnqueueArgs;
use crate::{
    broker::{BrokerSettings, PrepareError, Producer},
    domain::{Lane, Rate},
    ports::Unpublishable,
};

pub enum JobSink {
    Nowhere,
    Lane { lane: Lane, producer: Box<Producer>, rate: Option<Rate> },
}

impl JobSink {
    /// Connects to the broker, and declares or checks the queues. A dry run does neither.
    pub async fn open(
        args: &EnqueueArgs,
        settings: Arc<BrokerSettings>,
    ) -> Result<Self, PrepareError> {
        if args.dry_run {
            return Ok(Self::Nowhere);
        }
        let mut producer = Box::new(Producer::new(settings));
        producer.prepare().await?;
        Ok(Self::Lane { lane: args.lane, producer, rate: args.rate.and_then(Rate::per_second) })
    }

    /// Waits until a job may be sent. Returns the number of jobs that may be sent, at most `most`.
    pub async fn permits(&mut self, most: usize) -> usize {
        let Self::Lane { rate: Some(rate), .. } = self else { return most };
        if most == 0 {
            return 0;
        }
        while let Err(wait) = rate.take(Instant::now().into_std()) {
            sleep(wait).await;
        }
        1 + (1..most).take_while(|_| rate.take(Instant::now().into_std()).is_ok()).count()
    }

    /// Publishes jobs until all are confirmed or `given_up` completes. The unconfirmed ones stay in `jobs`. Returns the
    /// jobs that the broker refuses.
    pub async fn publish<J: AsRef<[u8]>>(
        &mut self,
        jobs: &mut Vec<J>,
        given_up: impl Future<Output = ()>,
    ) -> Vec<(J, Unpublishable)> {
        match self {
            Self::Nowhere => {
                jobs.clear();
                Vec::new()
            }
            Self::Lane { lane, producer, .. } => producer.publish(*lane, jobs, given_up).await,
        }
    }

    pub async fn close(self) {
        if let Self::Lane { producer, .. } = self {
            producer.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::broker::Declare;

    fn lane(rate: Option<f64>) -> JobSink {
        let settings = BrokerSettings {
            command: "enqueue",
            urls: Vec::new(),
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            queue: "revocations".to_owned(),
            outcomes: None,
            declare: Declare::All,
            prefetch: 1,
            in_flight_bytes: 1,
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(10),
            history_key_file: None,
            park: Vec::new(),
        };
        let producer = Box::new(Producer::new(Arc::new(settings)));
        JobSink::Lane { lane: Lane::Bulk, producer, rate: rate.and_then(Rate::per_second) }
    }

    /// The time to get this many permits, in batches.
    async fn time_of(mut outlet: JobSink, mut permits: usize) -> Duration {
        let began = Instant::now();
        while permits > 0 {
            let given = outlet.permits(permits.min(2048)).await;
            assert!((1..=permits.min(2048)).contains(&given), "{given}");
            permits -= given;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_bounds_the_jobs_and_nothing_else_does() {
        let seconds = time_of(lane(Some(500.0)), 5000).await.as_secs_f64();
        assert!((9.8..10.2).contains(&seconds), "{seconds}");
        let seconds = time_of(lane(Some(0.5)), 4).await.as_secs_f64();
        assert!((5.9..6.1).contains(&seconds), "{seconds}");
        assert_eq!(time_of(lane(None), 10_000).await, Duration::ZERO);
        assert_eq!(time_of(JobSink::Nowhere, 10_000).await, Duration::ZERO);
        assert_eq!(lane(Some(1.0)).permits(0).await, 0);
    }
}
