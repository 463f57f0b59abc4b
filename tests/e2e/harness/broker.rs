//! The broker nodes: most tests share one node and have a virtual host each. A test that kills or reconfigures its node
//! has its own.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncGuard, OnceCell};
use url::Url;

use super::{canary, node::Node, wait::eventually};

/// The worker's user. Its password is a canary, and it is not the user that the tests publish as.
const WORKER: &str = "worker";

/// Virtual hosts made at a time: each call of `rabbitmqctl` costs a second of CPU.
const BATCH: usize = 8;

/// A node, and its unused virtual hosts.
pub struct Broker {
    node: Node,
    made: AtomicUsize,
    fresh: AsyncMutex<Vec<String>>,
    used: Mutex<BTreeSet<String>>,
}

impl Broker {
    /// The node that the tests share. `scripts/with-broker` names one that runs; otherwise this
    /// process starts its own, which ends with it.
    pub async fn shared() -> Arc<Self> {
        static SHARED: OnceCell<Arc<Broker>> = OnceCell::const_new();
        let start = async || {
            let node =
                match (env::var("REVOKER_TEST_BROKER_DIR"), env::var("REVOKER_TEST_BROKER_URL")) {
                    (Ok(dir), Ok(url)) => Node::running(dir.into(), url),
                    _ => tokio::task::spawn_blocking(|| Node::start("", None)).await.unwrap(),
                };
            Arc::new(Self::on(node))
        };
        SHARED.get_or_init(start).await.clone()
    }

    /// On a node that runs.
    pub(super) fn on(node: Node) -> Self {
        Self {
            node,
            made: AtomicUsize::new(0),
            fresh: AsyncMutex::default(),
            used: Mutex::default(),
        }
    }

    /// The node.
    pub(super) const fn node(&self) -> &Node {
        &self.node
    }

    /// A virtual host for one test.
    pub async fn virtual_host(self: &Arc<Self>) -> VirtualHost {
        let mut fresh = self.fresh.lock().await;
        if fresh.is_empty() {
            *fresh = self.make().await;
        }
        let name = fresh.pop().expect("just made");
        VirtualHost { broker: self.clone(), name }
    }

    /// Makes a batch of virtual hosts and deletes the used ones, in one run of `rabbitmqctl`.
    async fn make(&self) -> Vec<String> {
        let first = self.made.fetch_add(BATCH, Ordering::SeqCst);
        let process = std::process::id();
        let names: Vec<String> =
            (first..first + BATCH).map(|n| format!("test-{process}-{n}")).collect();
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        let list = |names: &mut dyn Iterator<Item = &String>| {
            names.map(|name| format!("<<\"{name}\">>")).collect::<Vec<_>>().join(",")
        };
        let expression = format!(
            r#"By = <<"tests">>,
            catch rabbit_auth_backend_internal:add_user(<<"{WORKER}">>, <<"{}">>, By),
            [rabbit_vhost:delete(V, By) || V <- [{}]],
            [begin
                rabbit_vhost:add(V, By),
                [ok = rabbit_auth_backend_internal:set_permissions(U, V, <<".*">>, <<".*">>, <<".*">>, By)
                    || U <- [<<"guest">>, <<"{WORKER}">>]]
            end || V <- [{}]]."#,
            canary::PASSWORD,
            list(&mut used.iter()),
            list(&mut names.iter()),
        );
        self.node.ctl(&["eval", &expression]).await;
        names
    }
}

/// A virtual host of one test.
pub struct VirtualHost {
    broker: Arc<Broker>,
    name: String,
}

impl Drop for VirtualHost {
    fn drop(&mut self) {
        let mut used = self.broker.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(self.name.clone());
    }
}

impl VirtualHost {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its node.
    pub fn node(&self) -> &Node {
        &self.broker.node
    }

    /// Waits until these queues are empty and nothing is unacked: the broker has read every ack. If a worker is stopped
    /// earlier, its last acks may be lost with its connection, and their jobs return.
    pub async fn until_acked(&self, queues: &[&str]) {
        self.until_stored(queues, "be acked", |count| count == 0).await;
    }

    /// Waits until the broker has this many messages of these queues, unacked ones included. It asks the queues'
    /// leaders, as the broker's statistics lag; a queue that does not exist has none.
    pub async fn until_stored(
        &self,
        queues: &[&str],
        what: &str,
        condition: impl Fn(usize) -> bool,
    ) {
        let names: Vec<String> = queues.iter().map(|queue| format!("<<\"{queue}\">>")).collect();
        let expression = format!(
            r#"catch lists:sum([begin
                {{ok, {{_, Count}}, _}} =
                    ra:local_query(amqqueue:get_pid(Queue), fun rabbit_fifo:query_messages_total/1),
                Count
            end || Name <- [{}],
                {{ok, Queue}} <- [rabbit_amqqueue:lookup(rabbit_misc:r(<<"{}">>, queue, Name))]])."#,
            names.join(","),
            self.name,
        );
        eventually(&format!("{} to {what}", queues.join(" and ")), async || {
            let said = self.node().ctl(&["eval", &expression]).await;
            match said.parse::<usize>() {
                Ok(count) if condition(count) => Ok(()),
                _ => Err(said),
            }
        })
        .await;
    }

    /// Makes the broker forget every consumer of these queues without a notice. Returns their number.
    pub async fn forget_consumers(&self, queues: &[&str]) -> usize {
        let names: Vec<String> = queues.iter().map(|queue| format!("<<\"{queue}\">>")).collect();
        let expression = format!(
            r#"lists:sum([begin
                Server = amqqueue:get_pid(Queue),
                {{ok, {{_, Consumers}}, _}} = ra:local_query(Server, fun rabbit_fifo:query_consumers/1),
                [{{ok, _, _}} = ra:process_command(Server,
                        rabbit_fifo:make_checkout({{element(2, C), element(1, C)}}, cancel, #{{}}))
                    || C <- maps:values(Consumers)],
                maps:size(Consumers)
            end || Name <- [{}],
                {{ok, Queue}} <- [rabbit_amqqueue:lookup(rabbit_misc:r(<<"{}">>, queue, Name))]])."#,
            names.join(","),
            self.name,
        );
        let said = self.node().ctl(&["eval", &expression]).await;
        said.parse().unwrap_or_else(|_| panic!("the broker forgets nobody: {said}"))
    }

    /// Has the broker close the worker's connection of that purpose, for this reason.
    pub async fn close_connection(&self, purpose: &str, reason: &str) {
        let close = format!(r#"rabbit_networking:close_connection(Pid, "{reason}")"#);
        self.with_connection(purpose, &close).await;
    }

    /// Crashes the channels of the worker's connection of that purpose, as a fault in the broker would.
    pub async fn crash_channels(&self, purpose: &str) {
        let crash = "[exit(Channel, crashed) || Channel <- rabbit_channel:list_local(), \
                     [{connection, Pid}] == rabbit_channel:info(Channel, [connection])]";
        self.with_connection(purpose, crash).await;
    }

    /// Evaluates an expression about the one connection, `Pid`, that the worker has for this purpose. A connection that
    /// closes is listed for a while beside the next one, and does not count. It is evaluated only once: after a
    /// connection has ended, a second evaluation would hit the next one.
    async fn with_connection(&self, purpose: &str, expression: &str) {
        let found = format!(
            r#"Of = fun(Pid) ->
                [{{_, State}}, {{_, Host}}, {{_, Properties}}] =
                    rabbit_networking:connection_info(Pid, [state, vhost, client_properties]),
                {{_, _, Name}} = lists:keyfind(<<"connection_name">>, 1, Properties ++ [{{<<"connection_name">>, s, <<>>}}]),
                State == running andalso Host == <<"{}">> andalso binary:match(Name, <<" {purpose}">>) =/= nomatch
            end,
            length([(catch begin {expression} end) || Pid <- rabbit_networking:local_connections(), catch Of(Pid) == true])."#,
            self.name,
        );
        eventually(&format!("the connection to {purpose}"), async || {
            match self.node().ctl(&["eval", &found]).await.as_str() {
                "1" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await;
    }

    /// Grants the worker all permissions on the queues of this pattern only.
    pub async fn grant(&self, queues: &str) {
        let exchange = format!(r"{queues}|^amq\.default$");
        let rights = ["set_permissions", "-p", &self.name, WORKER, queues, &exchange, queues];
        self.node().ctl(&rights).await;
    }

    /// Has each of these queues apply a command that changes nothing. A queue sets its timers after a command.
    pub async fn nudge(&self, queues: &[&str]) {
        let names: Vec<String> = queues.iter().map(|queue| format!("<<\"{queue}\">>")).collect();
        let expression = format!(
            r#"[{{ok, _, _}} = ra:process_command(amqqueue:get_pid(Queue),
                    rabbit_fifo:make_garbage_collection())
                || Name <- [{}],
                {{ok, Queue}} <- [rabbit_amqqueue:lookup(rabbit_misc:r(<<"{}">>, queue, Name))]]."#,
            names.join(","),
            self.name,
        );
        self.node().ctl(&["eval", &expression]).await;
    }

    /// The URL for the test's own connections.
    pub fn test_url(&self) -> String {
        self.test_url_by(self.node())
    }

    /// The same through another node of its cluster.
    pub fn test_url_by(&self, node: &Node) -> String {
        self.locate(node.url()).into()
    }

    /// The URL for the worker.
    pub fn worker_url(&self) -> Url {
        self.worker_url_by(self.node())
    }

    /// The same through another node of its cluster.
    pub fn worker_url_by(&self, node: &Node) -> Url {
        self.for_worker(node.url())
    }

    /// The URL for the worker over TLS.
    pub fn worker_tls_url(&self) -> Url {
        self.for_worker(&self.node().tls_url())
    }

    fn for_worker(&self, node: &str) -> Url {
        let mut url = self.locate(node);
        url.set_username(WORKER).unwrap();
        // `set_password` leaves `+` as it is, and both sides read it as such.
        url.set_password(Some(canary::PASSWORD)).unwrap();
        url
    }

    fn locate(&self, node: &str) -> Url {
        let mut url = Url::parse(node).unwrap();
        url.set_path(&self.name);
        url
    }
}

/// Only the holder of this guard may start separate nodes: nodes of two tests would slow each other down.
pub(super) async fn turn() -> AsyncGuard<'static, ()> {
    static TURN: AsyncMutex<()> = AsyncMutex::const_new(());
    TURN.lock().await
}

/// A node that one test may damage: its own node, of which only one exists at a time, or a lent one.
pub struct OwnBroker {
    broker: Arc<Broker>,
    _turn: Option<AsyncGuard<'static, ()>>,
}

impl OwnBroker {
    /// Starts a node with extra configuration in the format of `rabbitmq.conf`, optionally with TLS.
    pub async fn start(conf: &str, tls: Option<[String; 3]>) -> Self {
        let turn = turn().await;
        let broker = Self::launch(conf, tls).await;
        Self { broker, _turn: Some(turn) }
    }

    /// Starts a node with the management plugin.
    pub async fn managed() -> Self {
        let turn = turn().await;
        let node = tokio::task::spawn_blocking(Node::managed).await.unwrap();
        Self { broker: Arc::new(Broker::on(node)), _turn: Some(turn) }
    }

    /// A shared node that one test at a time damages and restores, because a start takes longer than most tests.
    pub async fn lent() -> LentBroker {
        static LENT: AsyncMutex<Option<OwnBroker>> = AsyncMutex::const_new(None);
        let mut place = LENT.lock().await;
        let broker = match place.take() {
            Some(broker) => broker,
            None => Self { broker: Self::launch("", None).await, _turn: None },
        };
        LentBroker { place, broker: Some(broker) }
    }

    /// Starts one of the RabbitMQ in `packages`, a folder of `scripts/rabbitmq`.
    pub async fn start_of(packages: OsString) -> Self {
        let turn = turn().await;
        let node = tokio::task::spawn_blocking(move || Node::start_of(&packages)).await.unwrap();
        Self { broker: Arc::new(Broker::on(node)), _turn: Some(turn) }
    }

    async fn launch(conf: &str, tls: Option<[String; 3]>) -> Arc<Broker> {
        let conf = conf.to_owned();
        let start =
            move || Node::start(&conf, tls.as_ref().map(|pem| pem.each_ref().map(String::as_str)));
        let node = tokio::task::spawn_blocking(start).await.unwrap();
        Arc::new(Broker::on(node))
    }

    /// A virtual host on it.
    pub async fn virtual_host(&self) -> VirtualHost {
        self.broker.virtual_host().await
    }

    /// The node, which the test may damage.
    pub fn node(&self) -> &Node {
        &self.broker.node
    }
}

/// A lent node. A failed test may leave it in any state, and does not return it.
pub struct LentBroker {
    place: AsyncGuard<'static, Option<OwnBroker>>,
    broker: Option<OwnBroker>,
}

impl Deref for LentBroker {
    type Target = OwnBroker;

    fn deref(&self) -> &OwnBroker {
        self.broker.as_ref().expect("it is here until it is dropped")
    }
}

impl Drop for LentBroker {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            *self.place = self.broker.take();
        }
    }
}
