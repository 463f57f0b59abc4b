//! Connections that fail: each fault says what is wrong, where, and the cure. No library's names remain.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{check, fault_of, told};
use crate::harness::{
    Answer, Endpoint, Stage,
    pki::{Authority, Identity},
    web::Page,
};

/// Texts of the libraries and of the broker that tell an operator nothing.
const RAW: [&str; 8] = [
    "ParserErrors",
    "InvalidContentType",
    "CaUsedAsEndEntity",
    "UnknownIssuer",
    "NotValidForName",
    "Expired",
    "see the broker logfile",
    "Nom(",
];

/// A sentence has these words, names the setting, and has no raw text.
fn assert_sentence(fault: &str, words: &str, key: &str) {
    assert!(fault.contains(words) && fault.contains(key), "{words:?}, {key}: {fault}");
    for raw in RAW {
        assert!(!fault.contains(raw), "{fault}");
    }
}

/// A server that answers anything as an HTTP server does.
async fn http_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            client.read_exact(&mut [0; 8]).await.unwrap();
            client.write_all(answer).await.unwrap();
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_miss_the_broker_is_a_sentence_with_its_cure() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    let http = http_server().await;
    let url = stage.host.worker_url();
    let mut wrong_password = url.clone();
    wrong_password.set_password(Some("another")).unwrap();
    let mut no_vhost = url.clone();
    no_vhost.set_path("nowhere");
    let plain = stage.broker_address();
    for (url, words) in [
        (wrong_password.to_string(), "refuses the user worker or its password"),
        (no_vhost.to_string(), "the virtual host nowhere does not exist"),
        ("amqp://worker:x@127.0.0.1:1/v".to_owned(), "nothing listens at this address"),
        (
            "amqp://worker:x@revoker.invalid/v".to_owned(),
            "the name revoker.invalid cannot be resolved",
        ),
        (format!("amqp://worker:x@{http}/v"), "an HTTP server listens at"),
        (format!("amqps://worker:x@{plain}/v"), "does not answer with TLS at this port"),
    ] {
        // The system's authorities may be absent here.
        let ca = Authority::new();
        let launch = check(&stage, &endpoint).set("broker.url", &url);
        let launch = launch.set("broker.ca_file", ca.ca_file().display());
        assert_sentence(&fault_of(&told(launch).await, "broker"), words, "broker.url");
    }
    stage.host.node().ctl(&["clear_permissions", "-p", stage.host.name(), "worker"]).await;
    let fault = fault_of(&told(check(&stage, &endpoint)).await, "broker");
    assert_sentence(&fault, "the user worker has no rights in the virtual host", "set_permissions");
}

/// A plain connection to a TLS port, and each fault of a certificate, at the broker and at the endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_tls_is_a_sentence_with_its_cure() {
    let (stage, willing) = (Stage::new().await, Endpoint::willing().await);
    let (authority, stranger) = (Authority::new(), Authority::new());
    let names = ["127.0.0.1"];
    let own = Identity::of_an_authority(&names);
    let own_file = authority.file("own.pem", &own.certificate);
    for (identity, trusted, words, key) in [
        (authority.expired(&names), authority.ca_file(), "expired at 2016-01-01", "renew it"),
        (
            authority.identity(&["elsewhere.example"]),
            authority.ca_file(),
            "the server's certificate is not for 127.0.0.1",
            ".url",
        ),
        (
            authority.identity(&names),
            stranger.ca_file(),
            "no trusted authority signed the certificate",
            ".ca_file holds another authority",
        ),
        (own, own_file, "presents the certificate of an authority as its own", "CA:FALSE"),
    ] {
        let server = Endpoint::start_tls(identity.server(), |_| Answer::revoked()).await;
        let address = server.url().split('/').nth(2).unwrap();
        let broker = format!("amqps://worker:x@{address}/v");
        let launch = check(&stage, &willing)
            .set("endpoint.url", server.url())
            .set("endpoint.ca_file", trusted.display())
            .set("broker.url", broker)
            .set("broker.ca_file", trusted.display());
        let said = told(launch).await;
        for what in ["endpoint", "broker"] {
            assert_sentence(&fault_of(&said, what), words, key);
        }
        assert_eq!(server.count(), 0);
        let plain =
            check(&stage, &willing).set("broker.url", format!("amqp://worker:x@{address}/v"));
        assert_sentence(
            &fault_of(&told(plain).await, "broker"),
            "speaks TLS, not plain AMQP",
            "amqps://",
        );
    }
}

/// A key of another certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_belongs_to_another_certificate_is_named() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    let authority = Authority::new();
    let (first, second) = (authority.identity(&["worker"]), authority.identity(&["worker"]));
    let launch = check(&stage, &endpoint)
        .set("broker.url", "amqps://worker:x@127.0.0.1:1/v")
        .set("broker.ca_file", authority.ca_file().display())
        .set(
            "broker.client_certificate_file",
            authority.file("first.pem", &first.certificate).display(),
        )
        .set("broker.client_key_file", authority.file("second.key", &second.key).display());
    let fault = fault_of(&told(launch).await, "broker");
    assert_sentence(&fault, "does not belong to the certificate", "broker.client_key_file");
}

/// A worker reports the same sentence where it cannot connect.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_says_the_same_as_check() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    let mut url = stage.host.worker_url();
    url.set_password(Some("another")).unwrap();
    let worker = stage.run(&endpoint).set("broker.url", &url).start();
    let sentence = "refuses the user worker or its password: check both in broker.url";
    let told = |page: &Page| page.status == 503 && page.body.contains(sentence);
    worker.until_page("/readyz", "to tell why", told).await;
    worker.kill().await;
}
