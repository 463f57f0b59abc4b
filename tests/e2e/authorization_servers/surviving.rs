//! Tests of requests whose 200 leaves the token alive. None of them may end as revoked.

use crate::harness::{
    INTERACTIVE, Launch, Message, Stage,
    authorization_server::{AuthorizationServer, Client, Kind},
};

/// One such request.
pub(super) struct Way {
    pub(super) kind: Kind,
    /// The client of the worker. The token belongs to [`Client::basic`].
    caller: Client,
    /// The text before the token in the job.
    pub(super) before: &'static str,
    /// The hint that replaces the profile's.
    hint: Option<&'static str>,
}

/// All of these requests.
pub(super) fn ways() -> Vec<Way> {
    let way = |kind, caller| Way { kind, caller, before: "", hint: None };
    vec![
        // A confidential client revokes the token of another.
        way(Kind::Django, Client::other()),
        // A public client revokes the token of another.
        way(Kind::Node, Client::other_public()),
        way(Kind::Django, Client::other_public()),
        // The hint is wrong, and the server uses it.
        Way { hint: Some("access_token"), ..way(Kind::Authlib, Client::basic()) },
        // A stray space makes it an unknown token.
        Way { before: " ", ..way(Kind::Node, Client::basic()) },
        Way { before: " ", ..way(Kind::Django, Client::basic()) },
        Way { before: " ", ..way(Kind::Authlib, Client::basic()) },
    ]
}

impl Way {
    /// A worker that makes this request.
    pub(super) fn launch(&self, stage: &Stage, server: &AuthorizationServer) -> Launch {
        let launch = stage.launch("run").revoking_at(server, &self.caller);
        let launch = launch.set("admin.listen", "127.0.0.1:0");
        match self.hint {
            Some(hint) => launch.set("endpoint.token_type_hint", hint),
            None => launch,
        }
    }

    /// A job for the token.
    pub(super) fn job(&self, token: &str) -> Message {
        Message::job(&format!("{}{token}", self.before))
    }

    /// The description for a failed test.
    pub(super) fn told(&self) -> String {
        format!("{:?} by {} with hint {:?}", self.kind, self.caller.id, self.hint)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn a_200_that_leaves_the_token_alive_is_only_acknowledged() {
    for way in ways() {
        let (stage, server) = (Stage::new().await, AuthorizationServer::start(way.kind).await);
        let token = server.mint(&Client::basic()).await;
        let worker = way.launch(&stage, &server).ready().await;
        stage.amqp.publish(INTERACTIVE, way.job(&token)).await;
        let metrics = worker.until_processed("acknowledged", 1).await;
        assert_eq!(metrics.processed("revoked"), 0, "{}", way.told());
        assert!(server.accepts(&Client::basic(), &token).await, "{}", way.told());
        worker.stop().await;
    }
}

/// The old one of two rotated tokens is revoked, and the new one stays valid.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn a_rotated_token_is_only_acknowledged() {
    let (stage, server) = (Stage::new().await, AuthorizationServer::rotating(Kind::Django).await);
    let client = Client::basic();
    let old = server.mint(&client).await;
    let new = server.refresh(&client, &old).await.unwrap();
    let launch = stage.launch("run").revoking_at(&server, &client);
    let worker = launch.set("admin.listen", "127.0.0.1:0").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&old)).await;
    let metrics = worker.until_processed("acknowledged", 1).await;
    assert_eq!(metrics.processed("revoked"), 0);
    assert!(server.accepts(&client, &new).await);
    worker.stop().await;
}
