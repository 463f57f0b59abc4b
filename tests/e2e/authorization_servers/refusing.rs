//! Tests of servers that refuse the client: no job is dead-lettered, and the right secret ends the pause without a
//! restart.

use std::fs;

use crate::harness::{
    BULK, DEAD, Launch, Message, Stage, Worker,
    authorization_server::{AuthorizationServer, Client, Kind},
};

const JOBS: usize = 100;

/// Publishes live tokens, waits for the pause, and corrects the client. Then all tokens are dead, and no job was lost.
async fn waits_until_mended(kind: Kind, client: Client, wrong: &Client) {
    let (stage, server) = (Stage::new().await, AuthorizationServer::start(kind).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let put = |client: &Client| {
        let next = folder.path().join("next");
        fs::write(&next, &client.secret).unwrap();
        fs::rename(next, &file).unwrap();
    };
    put(wrong);
    let tokens = server.mint_all(&client, JOBS).await;
    stage.amqp.declare_family().await;
    stage.amqp.publish_all(BULK, tokens.iter().map(|token| Message::job(token))).await;
    let worker = impatient(stage.launch("run").revoking_at(&server, &client))
        .unset("credentials.client_secret")
        .set("credentials.client_secret_file", file.display())
        .ready()
        .await;
    until_paused(&worker, &client).await;
    assert!(worker.metrics().await.calls("misconfigured") > 0, "the mistake happened");
    assert_eq!(server.count_live(&client, &tokens).await, JOBS);

    put(&client);
    worker.signal("HUP");
    worker.until_processed("acknowledged", JOBS).await;
    stage.host.until_acked(&[BULK]).await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0, "{kind:?}");
    assert_eq!(server.count_live(&client, &tokens).await, 0, "{kind:?}");
    worker.stop().await;
}

/// Short waits in place of minutes.
fn impatient(launch: Launch) -> Launch {
    launch
        .set("admin.listen", "127.0.0.1:0")
        .set("flow.pause.probe_initial", "200ms")
        .set("flow.pause.probe_max", "400ms")
}

/// Waits until the client is paused, and log and `/readyz` name it.
async fn until_paused(worker: &Worker, client: &Client) {
    worker.until_metrics("the pause", |metrics| metrics.value("clients_paused") == 1).await;
    let page = worker.until_page("/readyz", "to name the client", |page| {
        page.body.contains(client.id) && page.body.contains("refuses the client")
    });
    assert_eq!(page.await.status, 200);
    assert!(!worker.said("client paused").is_empty(), "{}", worker.stderr());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn a_wrong_secret_at_any_server_dead_letters_nothing() {
    for kind in [Kind::Node, Kind::Django, Kind::Authlib] {
        waits_until_mended(kind, Client::basic(), &Client::basic().with_wrong_secret()).await;
    }
}

/// A secret of `: + % /` and a space in the encoding that the server does not read is a wrong secret. One server calls
/// that `invalid_request`, so there it looks like a fault of the jobs: the guard against first rejections pauses.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn the_other_encoding_of_basic_is_a_wrong_secret() {
    const GUARD: usize = 3;
    for kind in [Kind::Node, Kind::Django, Kind::Authlib] {
        let (stage, server) = (Stage::new().await, AuthorizationServer::start(kind).await);
        let client = Client::odd();
        let tokens = server.mint_all(&client, 10).await;
        stage.amqp.declare_family().await;
        stage.amqp.publish_all(BULK, tokens.iter().map(|token| Message::job(token))).await;
        let launch = impatient(stage.launch("run").revoking_at(&server, &client))
            .set("flow.guard.first_rejections", GUARD)
            .set("flow.concurrency.max", 1);
        let other = launch.clone().set("endpoint.auth.basic_encoding", kind.basic().other().name());
        let worker = other.ready().await;
        worker.until_metrics("the pause", |metrics| metrics.value("clients_paused") == 1).await;
        worker.signal("TERM");
        assert_eq!(worker.exit().await.code(), Some(0), "{}", worker.stderr());
        assert_eq!(server.count_live(&client, &tokens).await, tokens.len(), "{kind:?}");

        let worker = launch.ready().await;
        let dead = stage.amqp.depth(DEAD).await.unwrap().ready as usize;
        // The dead letters of the guard and of the probes.
        assert_eq!(dead > 0, kind == Kind::Node, "{kind:?}: {dead} dead letters");
        worker.until_processed("acknowledged", tokens.len() - dead).await;
        assert_eq!(server.count_live(&client, &tokens).await, dead, "{kind:?}");
        worker.stop().await;
    }
}

/// A confidential client asks for the token of another: two servers refuse, which is the job's own fault.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn the_token_of_another_client_is_dead_lettered_where_the_server_says_so() {
    for (kind, code) in [(Kind::Node, "invalid_request"), (Kind::Authlib, "invalid_grant")] {
        let (stage, server) = (Stage::new().await, AuthorizationServer::start(kind).await);
        let token = server.mint(&Client::basic()).await;
        let launch = stage.launch("run").revoking_at(&server, &Client::other());
        let worker = impatient(launch).ready().await;
        stage.amqp.publish(BULK, Message::job(&token)).await;
        worker.until_processed("dead_lettered", 1).await;
        let letters = stage.amqp.take(DEAD, 1).await;
        assert_eq!(letters[0].reason(), "rejected", "{kind:?}");
        assert_eq!(letters[0].text("x-revoker-code").as_deref(), Some(code), "{kind:?}");
        assert_eq!(letters[0].int("x-revoker-http-status"), Some(400), "{kind:?}");
        assert!(server.accepts(&Client::basic(), &token).await, "{kind:?}");
        worker.stop().await;
    }
}
