use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
};

use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
    sync::{Notify, mpsc},
};

use super::*;
use crate::{
    domain::Verdict,
    endpoint::{
        HttpEndpoint,
        testing::{CLIENT_ID, CLIENT_SECRET, Server, credentials, job, read_request, success},
    },
    ports::Endpoint,
};

const AGE: Duration = Duration::from_secs(60);

/// A clock that a test moves forward.
#[derive(Clone)]
struct ManualClock {
    start: Instant,
    forward_seconds: Arc<AtomicU64>,
}

impl ManualClock {
    fn new() -> Self {
        Self { start: Instant::now(), forward_seconds: Arc::default() }
    }

    fn clock(&self) -> AgeClock {
        let Self { start, forward_seconds } = self.clone();
        Box::new(move || start + Duration::from_secs(forward_seconds.load(Ordering::SeqCst)))
    }

    fn forward(&self, time: Duration) {
        self.forward_seconds.fetch_add(time.as_secs(), Ordering::SeqCst);
    }
}

fn settings(url: &str) -> Settings {
    Settings { connection_max_age: AGE, ..crate::endpoint::testing::settings(url) }
}

fn endpoint(url: &str, hands: &ManualClock) -> HttpEndpoint {
    let credentials = credentials(CLIENT_ID, CLIENT_SECRET);
    HttpEndpoint::with_clock(&settings(url), credentials, hands.clock()).unwrap()
}

async fn call(endpoint: &HttpEndpoint) {
    assert_eq!(endpoint.revoke(&job(), None).await.unwrap(), Verdict::Revoked);
}

/// Answers one request after the other, for as long as the client keeps the connection.
async fn answer_all(mut stream: TcpStream) {
    while read_request(&mut stream).await.is_ok() {
        stream.write_all(success().as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection_until_it_is_old() {
    let server = Server::start(answer_all).await;
    let hands = ManualClock::new();
    let endpoint = endpoint(&server.url(), &hands);
    for connections in 1..4 {
        for _ in 0..3 {
            call(&endpoint).await;
            assert_eq!(server.connections(), connections);
        }
        hands.forward(AGE);
    }
}

#[tokio::test]
async fn a_call_under_way_ends_well_and_its_old_connection_with_it() {
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (ended, mut ends) = mpsc::unbounded_channel();
    let answer = Arc::new(Notify::new());
    let held = Arc::clone(&answer);
    let server = Server::start(move |mut stream| {
        let (begun, ended, held) = (begun.clone(), ended.clone(), Arc::clone(&held));
        async move {
            let id = stream.peer_addr().unwrap();
            while read_request(&mut stream).await.is_ok() {
                begun.send(id).unwrap();
                held.notified().await;
                stream.write_all(success().as_bytes()).await.unwrap();
            }
            ended.send(id).unwrap();
        }
    })
    .await;
    let hands = ManualClock::new();
    let endpoint = Arc::new(endpoint(&server.url(), &hands));
    let start = || {
        let endpoint = Arc::clone(&endpoint);
        tokio::spawn(async move { call(&endpoint).await })
    };
    let old = start();
    let old_connection = begins.recv().await.unwrap();
    hands.forward(AGE);
    // One call for each of the other clients, then one for the slot whose old client is still calling.
    let others: Vec<_> = (0..CLIENTS).map(|_| start()).collect();
    for _ in 0..CLIENTS {
        assert_ne!(begins.recv().await.unwrap(), old_connection);
    }
    // This wakes the first waiting call.
    answer.notify_one();
    old.await.unwrap();
    assert_eq!(ends.recv().await.unwrap(), old_connection);
    for _ in &others {
        answer.notify_one();
    }
    for other in others {
        other.await.unwrap();
    }
}

/// The relay keeps its address and changes its target, like a changed DNS entry.
#[tokio::test]
async fn the_new_address_is_met_after_connection_max_age() {
    let (old, new) = (Server::start(answer_all).await, Server::start(answer_all).await);
    let target: Arc<Mutex<SocketAddr>> = Arc::new(Mutex::new(old.addr));
    let leads_to = Arc::clone(&target);
    let relay = Server::start(move |mut stream| {
        let target = *leads_to.lock().unwrap();
        async move {
            let mut server = TcpStream::connect(target).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    })
    .await;
    let hands = ManualClock::new();
    let endpoint = endpoint(&relay.url(), &hands);
    call(&endpoint).await;
    *target.lock().unwrap() = new.addr;
    call(&endpoint).await;
    assert_eq!((old.connections(), new.connections()), (1, 0), "the connection is kept");
    hands.forward(AGE);
    call(&endpoint).await;
    assert_eq!((old.connections(), new.connections()), (1, 1));
}

#[test]
fn clients_grow_old_one_after_the_other_and_none_above_the_greatest_age() {
    let now = Instant::now();
    let clients = ClientPool::new(&settings("http://127.0.0.1:1/"), Box::new(move || now)).unwrap();
    let ages = clients.slots.iter().map(|slot| slot.current.lock().unwrap().until - now);
    let ages: Vec<Duration> = ages.collect();
    assert!(ages.is_sorted() && *ages.last().unwrap() <= AGE, "{ages:?}");
    assert!(ages[0] <= AGE / CLIENTS && ages[0] > AGE / CLIENTS / 2, "{ages:?}");
    let lives: BTreeSet<Duration> = (0..100).map(|_| jittered(AGE)).collect();
    assert!(lives.len() > 1 && lives.iter().all(|life| (AGE / 2..=AGE).contains(life)));
}

#[test]
fn calls_at_a_time_are_spread_over_all_clients() {
    let now = Instant::now();
    let clients = ClientPool::new(&settings("http://127.0.0.1:1/"), Box::new(move || now)).unwrap();
    let taken: Vec<_> = (0..2 * CLIENTS).map(|_| clients.take()).collect();
    assert!(clients.slots.iter().all(|slot| slot.calls.load(Ordering::Relaxed) == 2));
    drop(taken);
    assert!(clients.slots.iter().all(|slot| slot.calls.load(Ordering::Relaxed) == 0));
}
