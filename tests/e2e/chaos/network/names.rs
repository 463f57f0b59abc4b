//! Host names that come to nothing for a while, and to another address afterwards.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{
    chaos::{Area, Evidence, Plan, Trial, sized},
    harness::{
        Worker,
        relay::Relay,
        resolver::{Name, Resolver},
    },
};

/// The name of the host in question.
const NAME: &str = "steered.revoker.test";
/// Two addresses of this machine, one before the change and one after it.
const BEFORE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const AFTER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A way at each of the addresses, with one port; the second is shut.
async fn ways(target: SocketAddr) -> [Relay; 2] {
    let first = Relay::open(target).await;
    let port = first.address().port();
    [first, Relay::shut_at((AFTER, port).into(), target).await]
}

fn endpoint_by_name(trial: &mut Trial, port: u16, resolver: &Resolver) {
    let launch = trial
        .launch
        .clone()
        .set("endpoint.url", format!("http://{NAME}:{port}/revoke"))
        .set("endpoint.allow_plain_http", true)
        .set("endpoint.connect_timeout", "2s")
        .set("retry.max", "200ms");
    trial.launch = resolver.steer(launch);
}

fn broker_by_name(trial: &mut Trial, port: u16, resolver: &Resolver) {
    let mut url = trial.stage.host.worker_url();
    url.set_host(Some(NAME)).unwrap();
    url.set_port(Some(port)).unwrap();
    let launch = trial.launch.clone().set("broker.url", url).set("broker.connect_timeout", "2s");
    trial.launch = resolver.steer(launch);
}

/// Waits until a look-up has met this since the last time.
async fn until_met(resolver: &Resolver, what: Name) -> usize {
    crate::harness::eventually("a look-up", async || match resolver.met(what) {
        0 => Err(format!("none that met {what:?}")),
        count => Ok(count),
    })
    .await
}

/// The endpoint's host moves: its address refuses, its name is not known, then not answered for, and
/// then it is another address.
#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_moves() {
    let jobs = sized(300, 5_000);
    let mut trial =
        Plan::new(Area::Network, "endpoint: DNS failing and changing").jobs(jobs).begin().await;
    let resolver = Resolver::new(NAME, Name::Is(BEFORE));
    let [mut first, mut second] = ways(trial.endpoint.address()).await;
    endpoint_by_name(&mut trial, first.address().port(), &resolver);
    trial.publish_all().await;
    let worker = trial.ready().await;
    trial.until_called_for(0.3).await;
    let fails = async |what| {
        let before = worker.metrics().await.calls("connect");
        resolver.now(what);
        until_met(&resolver, what).await;
        worker.until_metrics("failed calls", |now| now.calls("connect") > before).await;
    };
    first.close();
    fails(Name::Unknown).await;
    fails(Name::Failing).await;
    fails(Name::Hanging).await;
    second.reopen().await;
    resolver.now(Name::Is(AFTER));
    let evidence = moved(&resolver, &worker).await;
    let bound = trial.in_hand_at(1);
    trial.close([worker], evidence, bound).await;
    assert!(second.carried().octets() > 0, "nothing went to the new address");
}

/// The broker's host moves in the same way.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_moves() {
    let jobs = sized(300, 5_000);
    let mut trial =
        Plan::new(Area::Network, "broker: DNS failing and changing").jobs(jobs).begin().await;
    let resolver = Resolver::new(NAME, Name::Is(BEFORE));
    let [mut first, mut second] = ways(trial.stage.broker_address()).await;
    broker_by_name(&mut trial, first.address().port(), &resolver);
    trial.publish_all().await;
    let worker = trial.ready().await;
    trial.until_called_for(0.3).await;
    let fails = async |what| {
        let before = worker.metrics().await.sessions("connect_failed");
        resolver.now(what);
        until_met(&resolver, what).await;
        worker.until_metrics("failed tries", |now| now.sessions("connect_failed") > before).await;
    };
    first.close();
    fails(Name::Unknown).await;
    fails(Name::Failing).await;
    fails(Name::Hanging).await;
    second.reopen().await;
    resolver.now(Name::Is(AFTER));
    worker.until_ready().await;
    let evidence = moved(&resolver, &worker).await;
    let bound = trial.in_hand_at(1);
    trial.close([worker], evidence, bound).await;
    assert!(second.carried().octets() > 0, "nothing went to the new address");
}

/// Waits for a look-up that met the new address; what all of them met.
async fn moved(resolver: &Resolver, worker: &Worker) -> Evidence {
    let after = until_met(resolver, Name::Is(AFTER)).await;
    assert!(worker.exited().is_none(), "the worker ended");
    Evidence::of(resolver.met(Name::Unknown), "look-ups of an unknown name")
        .and(resolver.met(Name::Failing), "without an answer")
        .and(resolver.met(Name::Hanging), "that hung")
        .and(after, "of the new address")
}
