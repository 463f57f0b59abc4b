//! The environment of one test: a virtual host, the test's own connection, and the configuration of its workers.

use std::{net::SocketAddr, sync::Arc};

use url::Url;

use super::{
    Endpoint, Launch,
    amqp::Amqp,
    broker::{Broker, OwnBroker, VirtualHost},
    cluster::Cluster,
    relay::Relay,
};

/// The client that the workers call for.
pub const CLIENT: &str = "client-of-the-tests";
/// The audience that the workers name.
pub const AUDIENCE: &str = "https://api.test.example";

/// The environment. It is made before the workers, so it is dropped after them.
pub struct Stage {
    pub host: Arc<VirtualHost>,
    pub amqp: Amqp,
}

impl Stage {
    /// On the shared node.
    pub async fn new() -> Self {
        Self::on(Broker::shared().await.virtual_host().await).await
    }

    /// On a node of the test's own.
    pub async fn own(broker: &OwnBroker) -> Self {
        Self::on(broker.virtual_host().await).await
    }

    /// On a cluster, through the first node that answers, from `place` on.
    pub async fn clustered(cluster: &Cluster, place: usize) -> Self {
        let amqp = Amqp::connect_any(&cluster.test_urls(place)).await;
        Self { host: cluster.host.clone(), amqp }
    }

    async fn on(host: VirtualHost) -> Self {
        let amqp = Amqp::connect(&host.test_url()).await;
        Self { host: Arc::new(host), amqp }
    }

    /// Replaces a connection that the broker closed for the test.
    pub async fn reconnect(&mut self) {
        self.amqp = Amqp::connect(&self.host.test_url()).await;
    }

    /// The address of the broker.
    pub fn broker_address(&self) -> SocketAddr {
        self.host.worker_url().socket_addrs(|| None).unwrap()[0]
    }

    /// The worker's URL of the broker through `relay`.
    pub fn url_by(&self, relay: &Relay) -> Url {
        let mut url = self.host.worker_url();
        url.set_port(Some(relay.address().port())).unwrap();
        url
    }

    /// `revoker run` against this virtual host and `endpoint`: few retry queues, no jitter, and defaults otherwise.
    pub fn run(&self, endpoint: &Endpoint) -> Launch {
        unhurried(self.launch("run")).calling(endpoint).set("admin.listen", "127.0.0.1:0")
    }

    /// `revoker enqueue` into this virtual host.
    pub fn enqueue(&self) -> Launch {
        unhurried(self.launch("enqueue"))
    }

    /// A subcommand that needs only the broker.
    pub fn launch(&self, subcommand: &str) -> Launch {
        Launch::bare(subcommand).set("broker.url", self.host.worker_url()).set("log.format", "json")
    }
}

/// Long time-outs, so that a busy machine does not cause unwanted faults.
fn unhurried(launch: Launch) -> Launch {
    launch
        // A late confirm is awaited further, and its channel is given up after several of these time-outs.
        .set("broker.connect_timeout", "20s")
        .set("broker.confirm_timeout", "60s")
        .set("broker.heartbeat", "60s")
}
