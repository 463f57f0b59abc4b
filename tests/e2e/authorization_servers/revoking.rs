//! The worker revokes at each server, and the server itself reports the tokens as dead.

use crate::harness::{
    DEAD, INTERACTIVE, Message, Stage,
    authorization_server::{AuthorizationServer, Client, Kind, Method},
};

/// Tokens that are minted for each client.
const TOKENS: usize = 5;

/// Live tokens, the same ones again, and unknown ones: the server acknowledges all of them, and the live ones are dead.
/// No job counts as revoked, because such an answer does not mention the token.
async fn revokes_for(server: &AuthorizationServer, client: &Client) {
    let stage = Stage::new().await;
    let worker = stage
        .launch("run")
        .revoking_at(server, client)
        .set("admin.listen", "127.0.0.1:0")
        // The second revocation must be a call.
        .set("duplicates.remember", "0s")
        .ready()
        .await;
    let live = server.mint_all(client, TOKENS).await;
    for token in &live {
        assert!(server.accepts(client, token).await, "{client:?}");
    }
    for (round, tokens) in [&live, &live, &vec!["unknown".to_owned()]].into_iter().enumerate() {
        stage.amqp.publish_all(INTERACTIVE, tokens.iter().map(|token| Message::job(token))).await;
        let ended = (live.len() * (round + 1)).min(2 * live.len() + 1);
        worker.until_processed("acknowledged", ended).await;
        for token in &live {
            assert!(!server.accepts(client, token).await, "{client:?}");
        }
    }
    let metrics = worker.metrics().await;
    assert_eq!(metrics.calls("acknowledged"), 2 * live.len() + 1, "{client:?}");
    assert_eq!(metrics.processed("revoked"), 0, "{client:?}");
    stage.host.until_acked(&[INTERACTIVE]).await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0, "{client:?}");
    worker.stop().await;
}

async fn revokes(kind: Kind) {
    let server = AuthorizationServer::start(kind).await;
    for client in Client::all() {
        if client.method != Method::PrivateKeyJwt || kind != Kind::Django {
            revokes_for(&server, &client).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn tokens_of_node_oidc_provider_die() {
    revokes(Kind::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn tokens_of_django_oauth_toolkit_die() {
    revokes(Kind::Django).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn tokens_of_authlib_die() {
    revokes(Kind::Authlib).await;
}
