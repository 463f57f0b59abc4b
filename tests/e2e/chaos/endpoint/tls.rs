//! A server with a wrong certificate, or with an old TLS version, gets no token.

use std::net::SocketAddr;

use super::{
    EndpointFault,
    fault::{from_the_start, pausing_soon},
};
use crate::{
    chaos::{Area, Plan, sized},
    harness::{
        Answer, Endpoint, Stage,
        old_tls::{OldAnswer, OldTls},
        pki::{Authority, Identity},
        relay::Relay,
    },
};

/// The name that the worker calls.
const NAME: &str = "127.0.0.1";

/// Runs a case in which another server has the endpoint's address until the worker has paused.
async fn another_server_answers(name: &'static str, authority: &Authority, other: SocketAddr) {
    let fault = EndpointFault { fault: name, answer: |_| Answer::Never, result: "tls" };
    let tls = authority.identity(&[NAME]).server();
    let mut case = Plan::new(Area::Endpoint, name)
        .jobs(sized(100, 2_000))
        .begin_on(Stage::new().await, async |script| {
            Endpoint::start_tls(tls, move |call| script.answer(call)).await
        })
        .await;
    let way = Relay::open(other).await;
    case.launch = pausing_soon(case.launch)
        .set("endpoint.url", format!("https://{}/revoke", way.address()))
        .set("endpoint.ca_file", authority.ca_file().display());
    case.publish_all().await;
    let (worker, evidence) = from_the_start(&mut case, fault).await;
    way.lead_to(case.endpoint.address());
    case.close([worker], evidence, 0).await;
}

async fn a_certificate(fault: &'static str, identity: impl FnOnce(&Authority) -> Identity) {
    let authority = Authority::new();
    let other = Endpoint::start_tls(identity(&authority).server(), |_| Answer::revoked()).await;
    another_server_answers(fault, &authority, other.address()).await;
    assert!(other.connections() > 0, "nobody came to see the certificate");
    assert_eq!(other.count(), 0, "it was told a token");
}

async fn an_old_version(fault: &'static str, answer: OldAnswer) {
    let other = OldTls::start(answer).await;
    another_server_answers(fault, &Authority::new(), other.address()).await;
    assert!(other.hellos() > 0, "nobody said hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired() {
    a_certificate("expired certificate", |authority| authority.expired(&[NAME])).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn self_signed() {
    a_certificate("self-signed certificate", |_| Identity::self_signed(&[NAME])).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn of_another_host() {
    a_certificate("certificate of another host", |authority| {
        authority.identity(&["elsewhere.example", "127.0.0.2"])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn old_alerts() {
    an_old_version("TLS 1.0 and 1.1: `protocol_version`", OldAnswer::Alert).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_hellos() {
    an_old_version("TLS 1.0 and 1.1: an old hello", OldAnswer::Hello).await;
}
