//! Host names that do not resolve for a while, and resolve to another address later.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{
    chaos::{Area, Case, Evidence, Plan, sized},
    harness::{
        Worker,
        relay::Relay,
        resolver::{Name, Resolver},
        scrape::Scrape,
    },
};

/// The name of the host in question.
const NAME: &str = "controlled.revoker.test";
/// Two addresses of this machine, one before the change and one after it.
const BEFORE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const AFTER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A relay at each of the addresses, with the same port. The second one is closed.
async fn ways(target: SocketAddr) -> [Relay; 2] {
    let first = Relay::open(target).await;
    let port = first.address().port();
    [first, Relay::shut_at((AFTER, port).into(), target)]
}

fn endpoint_by_name(case: &mut Case, port: u16, resolver: &Resolver) {
    let launch = case
        .launch
        .clone()
        .set("endpoint.url", format!("http://{NAME}:{port}/revoke"))
        .set("endpoint.allow_plain_http", true)
        .set("endpoint.connect_timeout", "2s")
        .set("retry.max", "200ms");
    case.launch = resolver.control(launch);
}

fn broker_by_name(case: &mut Case, port: u16, resolver: &Resolver) {
    let mut url = case.stage.host.worker_url();
    url.set_host(Some(NAME)).unwrap();
    url.set_port(Some(port)).unwrap();
    let launch = case.launch.clone().set("broker.url", url).set("broker.connect_timeout", "2s");
    case.launch = resolver.control(launch);
}

/// Waits for a new look-up with this result.
async fn until_met(resolver: &Resolver, what: Name) -> usize {
    crate::harness::eventually("a look-up", async || match resolver.met(what) {
        0 => Err(format!("none that met {what:?}")),
        count => Ok(count),
    })
    .await
}

/// The endpoint's host moves.
#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_moves() {
    let case = begun("endpoint: DNS failing and changing").await;
    let ways = ways(case.endpoint.address()).await;
    moves(case, ways, endpoint_by_name, |now| now.calls("connect")).await;
}

/// The broker's host moves.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_moves() {
    let case = begun("broker: DNS failing and changing").await;
    let ways = ways(case.stage.broker_address()).await;
    moves(case, ways, broker_by_name, |now| now.sessions("connect_failed")).await;
}

async fn begun(fault: &'static str) -> Case {
    Plan::new(Area::Network, fault).jobs(sized(300, 5_000)).begin().await
}

/// A host moves during the work: its address refuses connections, its name is unknown, then the resolver does not
/// answer, and then the address changes. `failures` counts the failed tries.
async fn moves(
    mut case: Case,
    [mut first, mut second]: [Relay; 2],
    by_name: fn(&mut Case, u16, &Resolver),
    failures: fn(&Scrape) -> usize,
) {
    let resolver = Resolver::new(NAME, Name::Is(BEFORE));
    by_name(&mut case, first.address().port(), &resolver);
    case.hold_at(0.3);
    case.publish_all().await;
    let worker = case.ready().await;
    case.until_held_at(0.3).await;
    let fails = async |what| {
        let before = failures(&worker.metrics().await);
        resolver.now(what);
        until_met(&resolver, what).await;
        worker.until_metrics("tries in vain", |now| failures(now) > before).await;
    };
    first.closed().await;
    fails(Name::Unknown).await;
    fails(Name::Failing).await;
    fails(Name::Hanging).await;
    case.script.release();
    second.reopen().await;
    resolver.now(Name::Is(AFTER));
    worker.until_ready().await;
    let evidence = moved(&resolver, &worker).await;
    let bound = case.in_flight_at(1);
    case.close([worker], evidence, bound).await;
    assert!(second.carried().octets() > 0, "nothing went to the new address");
}

/// Waits for a look-up of the new address. Returns the counts of all results.
async fn moved(resolver: &Resolver, worker: &Worker) -> Evidence {
    let after = until_met(resolver, Name::Is(AFTER)).await;
    assert!(worker.exited().is_none(), "the worker ended");
    Evidence::of(resolver.met(Name::Unknown), "look-ups of an unknown name")
        .and(resolver.met(Name::Failing), "without an answer")
        .and(resolver.met(Name::Hanging), "that hung")
        .and(after, "of the new address")
}
