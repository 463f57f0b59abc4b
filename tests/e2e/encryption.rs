//! TLS to both sides with private authorities. A peer with a wrong certificate gets nothing.

use crate::harness::{
    Answer, Endpoint, INTERACTIVE, Message, Stage, broker::OwnBroker, pki::Authority, token,
    web::Page,
};

/// A broker and an endpoint, each with an authority of its own, and a broker that asks for a client certificate: with
/// all of it configured a job is revoked; with any of it wrong, no connection is made.
#[tokio::test(flavor = "multi_thread")]
async fn tls_to_both_sides_with_private_authorities() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let node = ours.identity(&["localhost", "127.0.0.1"]);
    let client = ours.identity(&["worker"]);
    let pem = [ours.pem(), node.certificate, node.key];
    let broker = OwnBroker::start("ssl_options.fail_if_no_peer_cert = true\n", Some(pem)).await;
    let stage = Stage::own(&broker).await;
    let tls = theirs.identity(&["127.0.0.1"]).server();
    let endpoint = Endpoint::start_tls(tls, |_| Answer::revoked()).await;
    let launch = stage
        .run(&endpoint)
        .set("broker.url", stage.host.worker_tls_url())
        .set("broker.ca_file", ours.ca_file().display())
        .set(
            "broker.client_certificate_file",
            ours.file("client.pem", &client.certificate).display(),
        )
        .set("broker.client_key_file", ours.file("client.key", &client.key).display())
        .set("endpoint.ca_file", theirs.ca_file().display());

    let worker = launch.ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    worker.until_processed("revoked", 1).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;

    // Another authority's endpoint, with the right name: no request goes out, and the job stays.
    let worker = launch.clone().set("endpoint.ca_file", ours.ca_file().display()).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(2))).await;
    worker.until_metrics("refusals", |metrics| metrics.calls("tls") >= 2).await;
    assert_eq!(worker.metrics().await.sum("revocations_processed_total"), 0);
    worker.kill().await;
    assert_eq!(endpoint.count(), 1);
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1);

    // A broker of another authority: the worker is not ready and reports the cause. Then a worker without a client
    // certificate.
    let strangers = launch.clone().set("broker.ca_file", theirs.ca_file().display());
    let anonymous = stage
        .run(&endpoint)
        .set("broker.url", stage.host.worker_tls_url())
        .set("broker.ca_file", ours.ca_file().display());
    for launch in [strangers, anonymous] {
        let worker = launch.start();
        let refused = "refused connections";
        worker.until_metrics(refused, |metrics| metrics.sum("broker_sessions_total") >= 2).await;
        // A client without a certificate may see the connection end before the alert.
        let told = |page: &Page| {
            let reason = page.body.to_lowercase();
            page.status == 503 && (reason.contains("certificate") || reason.contains("tls"))
        };
        worker.until_page("/readyz", "to tell why", told).await;
        worker.kill().await;
    }
    assert_eq!(stage.amqp.depth(INTERACTIVE).await.unwrap().ready, 1, "the job was taken");
}

/// An endpoint whose certificate is for another name, by the right authority.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_with_another_name_is_refused() {
    let stage = Stage::new().await;
    let authority = Authority::new();
    let tls = authority.identity(&["elsewhere.example"]).server();
    let endpoint = Endpoint::start_tls(tls, |_| Answer::revoked()).await;
    let launch = stage.run(&endpoint).set("endpoint.ca_file", authority.ca_file().display());
    let worker = launch.ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    worker.until_metrics("refusals", |metrics| metrics.calls("tls") >= 2).await;
    worker.kill().await;
    assert_eq!(endpoint.count(), 0);
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1);
}

/// An endpoint of a private authority that is not configured is not trusted.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_not_trusted_unasked() {
    let stage = Stage::new().await;
    let tls = Authority::new().identity(&["127.0.0.1"]).server();
    let endpoint = Endpoint::start_tls(tls, |_| Answer::revoked()).await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    worker.until_metrics("refusals", |metrics| metrics.calls("tls") >= 2).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 0);
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 1);
}
