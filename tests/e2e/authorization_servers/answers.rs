//! The servers' answers to plain requests. The tests of the worker rely on these facts, and they also test the harness.

use crate::harness::authorization_server::{AuthorizationServer, Client, Kind};

/// The differences between the servers.
struct Facts {
    /// A request without any client.
    no_client: (u16, &'static str),
    /// An empty token.
    empty_token: (u16, &'static str),
    /// Two tokens in one request.
    two_tokens: (u16, &'static str),
    /// An unknown hint.
    unknown_hint: (u16, &'static str),
    /// Whether a refresh token survives its revocation with the hint `access_token`.
    survives_wrong_hint: bool,
    /// A confidential client revokes the token of another.
    of_another: (u16, &'static str),
    /// A public client revokes the token of another.
    of_another_by_public: (u16, &'static str),
    /// A secret of `: + % /` in the encoding of Basic that the server does not read.
    other_encoding: (u16, &'static str),
    /// Whether introspection knows refresh tokens.
    introspects: bool,
}

const REVOKED: (u16, &str) = (200, "");

fn facts(kind: Kind) -> Facts {
    match kind {
        Kind::Node => Facts {
            no_client: (400, "invalid_request"),
            empty_token: (400, "invalid_request"),
            two_tokens: (400, "invalid_request"),
            unknown_hint: REVOKED,
            survives_wrong_hint: false,
            of_another: (400, "invalid_request"),
            of_another_by_public: REVOKED,
            other_encoding: (400, "invalid_request"),
            introspects: true,
        },
        Kind::Django => Facts {
            no_client: (401, "invalid_client"),
            empty_token: (400, "invalid_request"),
            two_tokens: REVOKED,
            unknown_hint: REVOKED,
            survives_wrong_hint: false,
            of_another: REVOKED,
            of_another_by_public: REVOKED,
            other_encoding: (401, "invalid_client"),
            introspects: false,
        },
        Kind::Authlib => Facts {
            no_client: (401, "invalid_client"),
            empty_token: REVOKED,
            two_tokens: REVOKED,
            unknown_hint: (401, "unsupported_token_type"),
            survives_wrong_hint: true,
            of_another: (400, "invalid_grant"),
            of_another_by_public: (400, "invalid_grant"),
            other_encoding: (401, "invalid_client"),
            introspects: true,
        },
    }
}

fn owned((status, error): (u16, &str)) -> (u16, String) {
    (status, error.to_owned())
}

impl AuthorizationServer {
    async fn told(&self, client: &Client, fields: &[(&str, &str)]) -> (u16, String) {
        self.post(self.revocation_url(), client, fields).await.error()
    }
}

/// A live token dies. The second revocation and an unknown token get the same answer.
async fn revoking(server: &AuthorizationServer, facts: &Facts) {
    for client in [Client::basic(), Client::post(), Client::public(), Client::odd()] {
        let token = server.mint(&client).await;
        assert!(server.accepts(&client, &token).await, "{client:?}");
        assert_eq!(server.introspects(&Client::watcher(), &token).await, facts.introspects);
        for _ in 0..2 {
            assert_eq!(server.revoke(&client, &token).await.error(), owned(REVOKED), "{client:?}");
            assert!(!server.accepts(&client, &token).await, "{client:?}");
            assert!(!server.introspects(&Client::watcher(), &token).await);
        }
        assert_eq!(server.revoke(&client, "unknown").await.error(), owned(REVOKED), "{client:?}");
    }
}

/// A client that does not prove itself, and requests that are no revocations.
async fn refusals(server: &AuthorizationServer, facts: &Facts) {
    let client = Client::basic();
    let token = server.mint(&client).await;
    for wrong in [client.with_wrong_secret(), Client::unknown()] {
        let told = server.told(&wrong, &[("token", &token)]).await;
        assert_eq!(told, (401, "invalid_client".to_owned()), "{wrong:?}");
    }
    let nobody = Client { id: "", ..Client::public() };
    assert_eq!(server.told(&nobody, &[("token", &token)]).await, owned(facts.no_client));
    assert_eq!(server.told(&client, &[]).await, (400, "invalid_request".to_owned()));
    assert_eq!(server.told(&client, &[("token", "")]).await, owned(facts.empty_token));
    let odd = Client::odd();
    let other = server.kind.basic().other();
    let told = server.post_with(other, server.revocation_url(), &odd, &[("token", &token)]).await;
    assert_eq!(told.error(), owned(facts.other_encoding));
    assert!(server.accepts(&client, &token).await);
    let twice = [("token", token.as_str()), ("token", token.as_str())];
    assert_eq!(server.told(&client, &twice).await, owned(facts.two_tokens));
}

/// The requests whose 200 leaves the token alive.
async fn surviving(server: &AuthorizationServer, facts: &Facts) {
    let client = Client::basic();
    let token = server.mint(&client).await;
    for (another, expected) in
        [(Client::other(), facts.of_another), (Client::other_public(), facts.of_another_by_public)]
    {
        assert_eq!(server.revoke(&another, &token).await.error(), owned(expected), "{another:?}");
        assert!(server.accepts(&client, &token).await, "{another:?}");
    }
    let spaced = format!(" {token}");
    assert_eq!(server.revoke(&client, &spaced).await.error(), owned(REVOKED));
    assert!(server.accepts(&client, &token).await);
    let hinted = [("token", token.as_str()), ("token_type_hint", "access_token")];
    assert_eq!(server.told(&client, &hinted).await, owned(REVOKED));
    assert_eq!(server.accepts(&client, &token).await, facts.survives_wrong_hint);
    let hinted = [("token", "unknown"), ("token_type_hint", "nonsense")];
    assert_eq!(server.told(&client, &hinted).await, owned(facts.unknown_hint));
}

/// Assertions: a valid one, one for another audience, and one that was used before.
async fn assertions(server: &AuthorizationServer) {
    let refused = (if server.kind == Kind::Node { 401 } else { 400 }, "invalid_client");
    let client = Client::signing();
    let token = server.mint(&client).await;
    let url = server.revocation_url();
    let used = client.assertion(url.as_str());
    for (assertion, expected) in [
        (client.assertion("https://elsewhere.example"), refused),
        (used.clone(), REVOKED),
        (used, refused),
    ] {
        let told = server.post_assertion(url.clone(), &assertion, &[("token", &token)]).await;
        assert_eq!(told.error(), owned(expected));
    }
    assert!(!server.accepts(&client, &token).await);
}

async fn answers_as_known(kind: Kind) {
    let (server, facts) = (AuthorizationServer::start(kind).await, facts(kind));
    revoking(&server, &facts).await;
    refusals(&server, &facts).await;
    surviving(&server, &facts).await;
    if kind != Kind::Django {
        assertions(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn node_oidc_provider_answers_as_known() {
    answers_as_known(Kind::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn django_oauth_toolkit_answers_as_known() {
    answers_as_known(Kind::Django).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn authlib_answers_as_known() {
    answers_as_known(Kind::Authlib).await;
}

/// With rotating refresh tokens, revoking the old token kills its successor at only one server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn a_rotated_token_takes_its_successor_along_at_one_server_only() {
    for (kind, survives) in [(Kind::Node, false), (Kind::Django, true)] {
        let (server, client) = (AuthorizationServer::rotating(kind).await, Client::basic());
        let old = server.mint(&client).await;
        let new = server.refresh(&client, &old).await.unwrap();
        assert_ne!(old, new, "{kind:?} rotates");
        assert_eq!(server.revoke(&client, &old).await.error(), owned(REVOKED), "{kind:?}");
        assert_eq!(server.accepts(&client, &new).await, survives, "{kind:?}");
    }
}

/// Tokens that are minted in a row, half of which are revoked.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn many_tokens_are_distinguished() {
    const TOKENS: usize = 40;
    for kind in [Kind::Node, Kind::Django, Kind::Authlib] {
        let (server, client) = (AuthorizationServer::start(kind).await, Client::basic());
        let tokens = server.mint_all(&client, TOKENS).await;
        let (revoked, left) = tokens.split_at(TOKENS / 2);
        for token in revoked {
            assert_eq!(server.revoke(&client, token).await.error(), owned(REVOKED), "{kind:?}");
        }
        assert_eq!(server.count_live(&client, revoked).await, 0, "{kind:?}");
        assert_eq!(server.count_live(&client, left).await, left.len(), "{kind:?}");
    }
}
