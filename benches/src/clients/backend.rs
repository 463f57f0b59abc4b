//! A mock for the endpoint whose behaviour is a function of the call, and can change while it runs.
//!
//! The product's own mock has one script for all clients. Here clients are treated differently, shares of calls fail at
//! random, capacities change, and calls hang.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{super::Fallible, http::Connection};

/// The time between two checks of a condition.
const POLL: Duration = Duration::from_millis(10);

const REVOKED: &str = r#"{"action":"revoke","success":true,"revoke":{"meta":{"status":{"code":"00","message_ilgn":[{"locale":"es_PE","value":"Refresh Token eliminado"}]}}}}"#;
const REJECTED: &str = r#"{"action":"revoke","success":false,"revoke":{"meta":{"status":{"code":"01","message_ilgn":[{"locale":"es_PE","value":"Refresh Token no encontrado"}]}}}}"#;
const PAGE: &str = "<html><body>not now</body></html>";

/// The parts of a call that determine the behaviour.
#[derive(Debug)]
pub struct Call<'a> {
    /// The client's id.
    pub client: &'a str,
    /// The client's secret.
    pub secret: &'a str,
    /// The refresh token.
    pub token: &'a str,
    /// Counted from 1 since the behaviour was set.
    pub number: u64,
    /// Calls in flight, this one included.
    pub parallel: usize,
}

/// The reaction to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// `00`.
    Revoke,
    /// `01`.
    Reject,
    /// A page with this status.
    Reply(u16),
    /// The connection is reset.
    Reset,
    /// No answer, until the client gives up.
    Hang,
}

/// The behaviour of the mock: the reaction to a call, and its delay.
pub type Behaviour = Box<dyn Fn(&Call<'_>) -> (Act, Duration) + Send + Sync>;

/// A call that was made.
#[derive(Debug, Clone)]
pub struct Record {
    /// The client's id.
    pub client: String,
    /// The refresh token.
    pub token: String,
    /// The reaction to it.
    pub act: Act,
    /// The time at which the request had arrived.
    pub began: Instant,
    /// When the answer left; `None` while it is under way.
    pub ended: Option<Instant>,
}

impl Record {
    /// The time at which the token was reported as revoked.
    pub fn revoked(&self) -> Option<Instant> {
        self.ended.filter(|_| self.act == Act::Revoke)
    }
}

/// The mock. It stops when it is dropped.
#[derive(Debug)]
pub struct Backend {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    started: (Instant, SystemTime),
}

struct Shared {
    behaviour: RwLock<Behaviour>,
    records: Mutex<Vec<Record>>,
    number: AtomicU64,
    parallel: AtomicUsize,
    revoked: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Backend {
    /// Listens at a free port of loopback.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start(behaviour: Behaviour) -> Fallible<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour: RwLock::new(behaviour),
            records: Mutex::default(),
            number: AtomicU64::new(0),
            parallel: AtomicUsize::new(0),
            revoked: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, accepting, started: (Instant::now(), SystemTime::now()) })
    }

    /// The URL to call.
    pub fn url(&self) -> String {
        format!("http://{}/revoke", self.addr)
    }

    /// Changes the behaviour from the next call on. Running calls keep theirs.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.write().unwrap_or_else(PoisonError::into_inner) = behaviour;
        self.shared.number.store(0, Ordering::Relaxed);
    }

    /// The number of tokens that were reported as revoked.
    pub fn revoked(&self) -> u64 {
        self.shared.revoked.load(Ordering::Relaxed)
    }

    /// All calls so far, in the order in which they came.
    pub fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.shared.records()
    }

    /// Waits until a condition holds. Returns whether it did within `limit`.
    pub async fn until(&self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let held = async {
            while !holds(self) {
                sleep(POLL).await;
            }
        };
        timeout(limit, held).await.is_ok()
    }

    /// Waits until this many tokens were reported as revoked.
    ///
    /// # Errors
    ///
    /// Fewer were within `limit`.
    pub async fn until_revoked(&self, count: u64, limit: Duration) -> Fallible<()> {
        if self.until(limit, |backend| backend.revoked() >= count).await {
            return Ok(());
        }
        let so_far = self.revoked();
        Err(format!("{so_far} of {count} were revoked in {} s", limit.as_secs()).into())
    }

    /// The instant of this system time.
    pub fn moment(&self, time: SystemTime) -> Instant {
        let (instant, system) = self.started;
        match time.duration_since(system) {
            Ok(later) => instant + later,
            Err(earlier) => instant.checked_sub(earlier.duration()).unwrap_or(instant),
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Connections end with their clients: the worker is stopped before its endpoint.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&shared)));
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut connection = Connection::new(stream);
    while let Ok(Some(body)) = connection.request().await {
        let parallel = Parallel::enter(&shared);
        let (act, after, index) = shared.begin(&body, parallel.number);
        if !after.is_zero() {
            sleep(after).await;
        }
        drop(parallel);
        let answered = match act {
            Act::Reset => {
                shared.end(index, act);
                return connection.reset();
            }
            Act::Hang => {
                let _parallel = Parallel::enter(&shared);
                connection.gone().await;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Act::Revoke => connection.answer(200, REVOKED).await,
            Act::Reject => connection.answer(200, REJECTED).await,
            Act::Reply(status) => connection.answer(status, PAGE).await,
        };
        shared.end(index, act);
        if answered.is_err() {
            return;
        }
    }
}

/// A call in flight.
struct Parallel<'a> {
    shared: &'a Shared,
    number: usize,
}

impl<'a> Parallel<'a> {
    fn enter(shared: &'a Shared) -> Self {
        Self { shared, number: shared.parallel.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Parallel<'_> {
    fn drop(&mut self) {
        self.shared.parallel.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Records a call. Returns the reaction, its delay, and the index of the record.
    fn begin(&self, body: &[u8], parallel: usize) -> (Act, Duration, usize) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |field: &str| body[field].as_str().unwrap_or_default();
        let call = Call {
            client: text("client_id"),
            secret: text("client_secret"),
            token: text("refresh_token"),
            number: self.number.fetch_add(1, Ordering::Relaxed) + 1,
            parallel,
        };
        let behaviour = self.behaviour.read().unwrap_or_else(PoisonError::into_inner);
        let (act, after) = behaviour(&call);
        let record = Record {
            client: call.client.to_owned(),
            token: call.token.to_owned(),
            act,
            began: Instant::now(),
            ended: None,
        };
        let mut records = self.records();
        records.push(record);
        (act, after, records.len() - 1)
    }

    fn end(&self, index: usize, act: Act) {
        if let Some(record) = self.records().get_mut(index) {
            record.ended = Some(Instant::now());
        }
        if act == Act::Revoke {
            self.revoked.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
