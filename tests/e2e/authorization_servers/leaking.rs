//! Ten thousand leaked tokens of one server, swept and enqueued, with faults between. In the end the server itself
//! reports each token as dead, and the counts balance.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use crate::harness::{
    BULK, DEAD, Launch, OUTCOMES, Stage, StoredMessage, Swept, Worker,
    authorization_server::{AuthorizationServer, Client, Kind},
    fingerprint,
    relay::Relay,
};

/// Half of them are swept, the others are enqueued.
const TOKENS: usize = 10_000;

/// Sends calls through the relay, in place of the server's own address.
fn by_way_of(relay: &Relay, launch: Launch, server: &AuthorizationServer) -> Launch {
    let mut url: Url = server.revocation_url();
    url.set_port(Some(relay.address().port())).unwrap();
    launch
        .set("endpoint.url", url)
        .set("flow.pause.probe_initial", "100ms")
        .set("flow.pause.probe_max", "200ms")
}

/// Resets every connection, refuses new ones until the worker pauses, then accepts them again.
async fn break_the_line(relay: &mut Relay, worker: &Worker) {
    relay.reset();
    relay.closed().await;
    worker.until_metrics("the pause", |metrics| metrics.value("paused") == 1).await;
    relay.reopen().await;
    worker.until_metrics("the end of the pause", |metrics| metrics.value("paused") == 0).await;
    let metrics = worker.metrics().await;
    assert!(metrics.calls("connect") > 0, "no connection was refused");
}

/// The fingerprint and the outcome of each event.
async fn ended(stage: &Stage) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let end = |stored: &StoredMessage| {
        let event: Value = serde_json::from_slice(&stored.body).expect("an event is JSON");
        (text(&event["data"]["fingerprint"]), text(&event["data"]["outcome"]))
    };
    stage.amqp.take_all(OUTCOMES).await.iter().map(end).collect()
}

fn expected(tokens: &[String]) -> BTreeSet<(String, String)> {
    tokens.iter().map(|token| (fingerprint(token), "acknowledged".to_owned())).collect()
}

/// The queue: the network fails, the worker is killed, and the network of the next worker fails as well.
async fn revoke_from_the_queue(server: &AuthorizationServer, client: &Client, tokens: &[String]) {
    let (stage, mut relay) = (Stage::new().await, Relay::open(server.address()).await);
    let launch = stage.launch("run").revoking_at(server, client);
    let launch = by_way_of(&relay, launch, server)
        .set("admin.listen", "127.0.0.1:0")
        .set("outcomes.queue", OUTCOMES);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.txt");
    std::fs::write(&file, tokens.join("\n")).unwrap();
    let (enqueue, status) = stage.enqueue().arg(file.display()).run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert!(enqueue.stdout().contains(&format!("{} jobs", tokens.len())), "{}", enqueue.stdout());

    let worker = launch.ready().await;
    worker.until_processed("acknowledged", tokens.len() / 4).await;
    break_the_line(&mut relay, &worker).await;
    worker.until_processed("acknowledged", tokens.len() / 2).await;
    worker.kill().await;

    let worker = launch.ready().await;
    break_the_line(&mut relay, &worker).await;
    stage.host.until_acked(&[BULK]).await;
    // The counts of the killed worker are lost. The events are not: each job has one before its ack.
    assert_eq!(ended(&stage).await, expected(tokens), "some jobs have no event, or another end");
    let metrics = worker.metrics().await;
    assert_eq!(metrics.processed("dead_lettered"), 0);
    assert_eq!(metrics.processed("revoked"), 0);
    let ended = metrics.sum("revocations_processed_total") + metrics.sum("deferrals_total");
    assert_eq!(metrics.sum("deliveries_total"), ended, "the counts do not balance");
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
    worker.stop().await;
}

/// The file: the network fails, the sweep is killed, and the next one finishes.
async fn sweep(server: &AuthorizationServer, client: &Client, tokens: &[String]) {
    let mut relay = Relay::open(server.address()).await;
    let swept = Swept::new("tokens.txt", tokens.join("\n"));
    let launch = Launch::bare("sweep").set("log.format", "json").arg(swept.input().display());
    let launch = by_way_of(&relay, launch.revoking_at(server, client), server);
    let launch = launch.arg("--admin").arg("127.0.0.1:0");
    let run = launch.start();
    run.until_processed("acknowledged", tokens.len() / 4).await;
    break_the_line(&mut relay, &run).await;
    run.until_processed("acknowledged", tokens.len() / 2).await;
    run.kill().await;
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let lines: BTreeSet<usize> = swept.lines_with("acknowledged").into_iter().collect();
    assert_eq!(lines, (1..=tokens.len()).collect(), "the counts do not balance");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn ten_thousand_tokens_die_through_faults() {
    let (server, client) = (AuthorizationServer::start(Kind::Authlib).await, Client::basic());
    let tokens = server.mint_all(&client, TOKENS).await;
    assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), TOKENS);
    assert_eq!(server.count_live(&client, &tokens).await, TOKENS);
    let (swept, enqueued) = tokens.split_at(TOKENS / 2);
    sweep(&server, &client, swept).await;
    revoke_from_the_queue(&server, &client, enqueued).await;
    assert_eq!(server.count_live(&client, &tokens).await, 0);
}
