//! What a case is about, and how large it is, before anything is started.

use super::{Law, Trial, seed};
use crate::harness::{Endpoint, Stage};

/// A group of rows in the published table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "an area is named here before it has cases")]
pub enum Area {
    Worker,
    Broker,
    Network,
    Endpoint,
    Producer,
    Configuration,
}

impl Area {
    /// The published word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Broker => "broker",
            Self::Network => "network",
            Self::Endpoint => "endpoint",
            Self::Producer => "producer",
            Self::Configuration => "configuration",
        }
    }
}

/// A case before it begins.
#[derive(Debug)]
pub struct Plan {
    pub(super) area: Area,
    pub(super) fault: &'static str,
    pub(super) jobs: usize,
    pub(super) prefetch: usize,
    pub(super) concurrency: usize,
}

impl Plan {
    /// A case about `fault`, in the words of the published table: a few hundred jobs, and a hand that is
    /// small beside them.
    pub fn new(area: Area, fault: &'static str) -> Self {
        Self { area, fault, jobs: 600, prefetch: 16, concurrency: 8 }
    }

    /// How many jobs [`Trial::publish_all`] publishes.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    /// Deliveries that a worker may hold of each lane.
    #[must_use]
    pub fn prefetch(mut self, prefetch: usize) -> Self {
        self.prefetch = prefetch;
        self
    }

    /// Calls that a worker makes at a time.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Begins on a virtual host of the shared node, with an endpoint that does as the law says.
    pub async fn begin(self) -> Trial {
        self.begin_on(Stage::new().await, lawful).await
    }

    /// Begins on `stage`, with the endpoint that `endpoint` starts.
    pub async fn begin_on(
        self,
        stage: Stage,
        endpoint: impl AsyncFnOnce(Law) -> Endpoint,
    ) -> Trial {
        let mut chance = seed::chance(self.area.name(), self.fault);
        let law = Law::new(chance.u64(..));
        let endpoint = endpoint(law.clone()).await;
        stage.amqp.declare_family().await;
        Trial::new(self, stage, endpoint, law, chance)
    }
}

/// An endpoint that does as the law says.
pub async fn lawful(law: Law) -> Endpoint {
    Endpoint::start(move |call| law.answer(call)).await
}
