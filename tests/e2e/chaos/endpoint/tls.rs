//! Whoever answers cannot prove to be the endpoint, or speaks an old TLS: nothing is told to it.

use std::net::SocketAddr;

use super::{
    Weather,
    weather::{impatient, met_from_the_start},
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

/// Another server stands where the endpoint should be, until the worker has paused; then the endpoint.
/// Returns what the last look at the other one said.
async fn another_stands_there(fault: &'static str, authority: &Authority, other: SocketAddr) {
    let weather = Weather { fault, answer: |_| Answer::Never, result: "tls" };
    let tls = authority.identity(&[NAME]).server();
    let mut trial = Plan::new(Area::Endpoint, fault)
        .jobs(sized(100, 2_000))
        .begin_on(Stage::new().await, async |law| {
            Endpoint::start_tls(tls, move |call| law.answer(call)).await
        })
        .await;
    let way = Relay::open(other).await;
    trial.launch = impatient(trial.launch)
        .set("endpoint.url", format!("https://{}/revoke", way.address()))
        .set("endpoint.ca_file", authority.ca_file().display());
    trial.publish_all().await;
    let (worker, evidence) = met_from_the_start(&mut trial, weather).await;
    way.lead_to(trial.endpoint.address());
    trial.close([worker], evidence, 0).await;
}

async fn a_certificate(fault: &'static str, identity: impl FnOnce(&Authority) -> Identity) {
    let authority = Authority::new();
    let other = Endpoint::start_tls(identity(&authority).server(), |_| Answer::revoked()).await;
    another_stands_there(fault, &authority, other.address()).await;
    assert!(other.connections() > 0, "nobody came to see the certificate");
    assert_eq!(other.count(), 0, "it was told a token");
}

async fn an_old_version(fault: &'static str, answer: OldAnswer) {
    let other = OldTls::start(answer).await;
    another_stands_there(fault, &Authority::new(), other.address()).await;
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
