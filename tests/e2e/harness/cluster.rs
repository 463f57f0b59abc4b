//! A cluster of RabbitMQ nodes on loopback, whose nodes a test can kill.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::sync::MutexGuard;

use super::{
    broker::{Broker, VirtualHost, turn},
    node::Node,
    wait::eventually,
};

/// Nodes of the cluster, and members of each of its quorum queues.
pub const NODES: usize = 3;

/// The cluster. Only one exists at a time, and no other node of a test's own beside it.
pub struct Cluster {
    /// The later nodes are dropped before the first one, because they use its epmd.
    later: Vec<Node>,
    first: Arc<Broker>,
    pub host: Arc<VirtualHost>,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts the nodes, joins them, and makes a virtual host on all of them.
    pub async fn start() -> Self {
        let turn = turn().await;
        let first = tokio::task::spawn_blocking(|| Node::start("", None)).await.unwrap();
        let joining = (1..NODES).map(|_| {
            let dir = first.dir().to_owned();
            tokio::task::spawn_blocking(move || Node::join(&dir))
        });
        let later = try_join_all(joining).await.unwrap();
        let first = Arc::new(Broker::on(first));
        let host = Arc::new(first.virtual_host().await);
        Self { later, first, host, _turn: turn }
    }

    /// A node, by its index.
    pub fn node(&self, place: usize) -> &Node {
        self.nodes().nth(place % NODES).unwrap()
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(self.first.node()).chain(&self.later)
    }

    /// The nodes from one place on, in a circle.
    fn nodes_from(&self, place: usize) -> impl Iterator<Item = &Node> {
        (0..NODES).map(move |step| self.node(place + step))
    }

    /// The `broker.url` of a worker with every node, that of `place` first.
    pub fn worker_urls(&self, place: usize) -> String {
        let urls = self.nodes_from(place).map(|node| self.host.worker_url_by(node).to_string());
        urls.collect::<Vec<_>>().join(",")
    }

    /// The test's own URLs of every node, that of `place` first.
    pub fn test_urls(&self, place: usize) -> Vec<String> {
        self.nodes_from(place).map(|node| self.host.test_url_by(node)).collect()
    }

    /// Asks the node with index `by` for the leader of a queue, until it is not on the node `not`.
    pub async fn leader(&self, by: usize, queue: &str, not: Option<usize>) -> usize {
        eventually(&format!("a leader of {queue}"), async || {
            let said = self.list(by, "leader").await;
            let leads =
                |node: &Node| said.lines().any(|line| line == format!("{queue}\t{}", node.name()));
            let place = self.nodes().position(leads);
            place.filter(|place| Some(*place) != not).ok_or(said)
        })
        .await
    }

    /// Asks the node with index `by`, until all members of every queue are up.
    pub async fn until_whole(&self, by: usize) {
        eventually("every member of every queue", async || {
            let said = self.list(by, "online").await;
            let whole = said.lines().all(|line| line.matches('@').count() == NODES);
            if whole && !said.is_empty() { Ok(()) } else { Err(said) }
        })
        .await;
    }

    /// A column of `list_queues`, after the queue's name.
    async fn list(&self, by: usize, column: &str) -> String {
        let host = self.host.name();
        let arguments = ["-q", "list_queues", "-p", host, "--no-table-headers", "name", column];
        self.node(by).ctl(&arguments).await
    }
}
