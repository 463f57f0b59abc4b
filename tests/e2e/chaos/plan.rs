//! The fault and the size of a case, before its start.

use super::{Case, EndpointScript, seed};
use crate::harness::{Endpoint, OUTCOMES, Stage, amqp::quorum};

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
    /// The name in the published table.
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
    /// Creates a case about `fault`, in the words of the published table: a few hundred jobs and a small
    /// prefetch.
    pub fn new(area: Area, fault: &'static str) -> Self {
        Self { area, fault, jobs: 600, prefetch: 16, concurrency: 8 }
    }

    /// Jobs that [`Case::publish_all`] publishes.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    /// The prefetch of each lane of a worker.
    #[must_use]
    pub fn prefetch(mut self, prefetch: usize) -> Self {
        self.prefetch = prefetch;
        self
    }

    /// Calls in flight per worker.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Begins on a virtual host of the shared node, with an endpoint that follows its script.
    pub async fn begin(self) -> Case {
        self.begin_on(Stage::new().await, without_fault).await
    }

    /// Begins on `stage`, with the endpoint that `endpoint` starts.
    pub async fn begin_on(
        self,
        stage: Stage,
        endpoint: impl AsyncFnOnce(EndpointScript) -> Endpoint,
    ) -> Case {
        let mut chance = seed::chance(self.area.name(), self.fault);
        let script = EndpointScript::new(chance.u64(..));
        let endpoint = endpoint(script.clone()).await;
        stage.amqp.declare_family().await;
        stage.amqp.declare(OUTCOMES, quorum()).await;
        Case::new(self, stage, endpoint, script, chance)
    }
}

/// Starts an endpoint that follows its script, without a fault.
pub async fn without_fault(script: EndpointScript) -> Endpoint {
    Endpoint::start(move |call| script.answer(call)).await
}
