//! The ways to a 200 that leaves the token alive. None of them may end as revoked.

use crate::harness::{
    INTERACTIVE, Launch, Message, Stage,
    authorization_server::{AuthorizationServer, Client, Kind},
};

/// One such way.
pub(super) struct Way {
    pub(super) kind: Kind,
    /// Whom the worker calls for. The token belongs to [`Client::basic`].
    caller: Client,
    /// What stands before the token in the job.
    pub(super) before: &'static str,
    /// The hint, in place of the profile's.
    hint: Option<&'static str>,
}

/// All of them.
pub(super) fn ways() -> Vec<Way> {
    let way = |kind, caller| Way { kind, caller, before: "", hint: None };
    vec![
        // A confidential client revokes the token of another.
        way(Kind::Django, Client::other()),
        // A public client does.
        way(Kind::Node, Client::other_public()),
        way(Kind::Django, Client::other_public()),
        // The hint is wrong, and the server believes it.
        Way { hint: Some("access_token"), ..way(Kind::Authlib, Client::basic()) },
        // A stray space makes an unknown token of it.
        Way { before: " ", ..way(Kind::Node, Client::basic()) },
        Way { before: " ", ..way(Kind::Django, Client::basic()) },
        Way { before: " ", ..way(Kind::Authlib, Client::basic()) },
    ]
}

impl Way {
    /// A worker that goes this way.
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

    /// What is told of it when a test fails.
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

/// The old one of two rotated tokens is revoked, and the new one goes on.
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
