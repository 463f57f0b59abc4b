//! Tests of the checks of tokens at each server: the proof by its introspection, and the job of a token that a 200
//! leaves alive.

use crate::harness::{
    Answer, DEAD, Endpoint, INTERACTIVE, Launch, Message, Stage, Worker,
    authorization_server::{AuthorizationServer, Client, Kind},
    scrape::Scrape,
};

use super::surviving::{Way, ways};

const KINDS: [Kind; 3] = [Kind::Node, Kind::Django, Kind::Authlib];

const TOKENS: usize = 5;

fn checks(result: &str) -> String {
    format!("verifications_total{{result=\"{result}\"}}")
}

/// The metrics once this many jobs have ended. They are read again, because the series of one page may differ in age.
async fn ended(worker: &Worker, outcome: &str, count: usize) -> Scrape {
    worker.until_processed(outcome, count).await;
    worker.metrics().await
}

/// Whether introspection of this server knows refresh tokens.
fn tells(kind: Kind) -> bool {
    kind != Kind::Django
}

/// A worker that revokes for the client and has its tokens checked.
fn launch(stage: &Stage, server: &AuthorizationServer, client: &Client, when: &str) -> Launch {
    let launch = stage.launch("run").revoking_at(server, client).verifying_at(server, when);
    launch.set("admin.listen", "127.0.0.1:0")
}

/// Live tokens in each mode, with the outcome that is proved, and the result of their checks.
async fn ends(kind: Kind, when: &str, trusts: bool, outcome: &str, result: &str) {
    let (stage, server) = (Stage::new().await, AuthorizationServer::start(kind).await);
    let client = Client::basic();
    let live = server.mint_all(&client, TOKENS).await;
    let launch = launch(&stage, &server, &client, when);
    let worker = launch.set("verify.trusts_inactive", trusts).ready().await;
    stage.amqp.publish_all(INTERACTIVE, live.iter().map(|token| Message::job(token))).await;
    let metrics = ended(&worker, outcome, TOKENS).await;
    let told = format!("{kind:?} with {when}, trusted: {trusts}");
    if !result.is_empty() {
        assert_eq!(metrics.value(&checks(result)), TOKENS, "{told}");
    }
    assert_eq!(metrics.sum("verifications_total"), if result.is_empty() { 0 } else { TOKENS });
    assert_eq!(metrics.calls("acknowledged"), TOKENS, "{told}");
    assert_eq!(server.count_live(&client, &live).await, 0, "{told}");
    stage.host.until_acked(&[INTERACTIVE]).await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0, "{told}");
    worker.stop().await;
}

/// A token that was active and is inactive afterwards is revoked, if the server discloses states. "Inactive" without an
/// active state before leaves it acknowledged, unless the operator trusts the server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn each_mode_says_revoked_only_where_it_is_proved() {
    for kind in KINDS {
        let proved =
            if tells(kind) { ("revoked", "inactive") } else { ("acknowledged", "untrusted") };
        ends(kind, "before_and_after", false, proved.0, proved.1).await;
        ends(kind, "after", false, "acknowledged", "untrusted").await;
        ends(kind, "after", true, "revoked", "inactive").await;
        // No answer here is an ambiguous rejection.
        ends(kind, "ambiguous", true, "acknowledged", "").await;
    }
}

/// Each request whose 200 leaves the token alive: acknowledged if introspection does not disclose the state, otherwise
/// a dead letter.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn a_200_that_leaves_the_token_alive_never_ends_as_revoked() {
    for when in ["after", "before_and_after"] {
        for way in ways() {
            survives(&way, when).await;
        }
    }
}

async fn survives(way: &Way, when: &str) {
    let (stage, server) = (Stage::new().await, AuthorizationServer::start(way.kind).await);
    let token = server.mint(&Client::basic()).await;
    let worker = way.launch(&stage, &server).verifying_at(&server, when).ready().await;
    stage.amqp.publish(INTERACTIVE, way.job(&token)).await;
    let told = format!("{} with {when}", way.told());
    // With a stray space, the token of the job is unknown.
    let metrics = if tells(way.kind) && way.before.is_empty() {
        let letter = stage.amqp.take(DEAD, 1).await.remove(0);
        assert_eq!(letter.reason(), "still_active", "{told}");
        assert_eq!(letter.int("x-revoker-attempts"), Some(2), "{told}");
        ended(&worker, "dead_lettered", 1).await
    } else {
        ended(&worker, "acknowledged", 1).await
    };
    assert_eq!(metrics.processed("revoked"), 0, "{told}");
    assert!(server.accepts(&Client::basic(), &token).await, "{told}");
    worker.stop().await;
}

/// The old one of two rotated tokens is no live one before the call, so "inactive" afterwards proves nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn a_rotated_token_is_only_acknowledged_when_checked() {
    let (stage, server) = (Stage::new().await, AuthorizationServer::rotating(Kind::Django).await);
    let client = Client::basic();
    let old = server.mint(&client).await;
    let new = server.refresh(&client, &old).await.unwrap();
    let worker = launch(&stage, &server, &client, "before_and_after").ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&old)).await;
    let metrics = ended(&worker, "acknowledged", 1).await;
    assert_eq!((metrics.processed("revoked"), metrics.value(&checks("untrusted"))), (0, 1));
    assert!(server.accepts(&client, &new).await);
    worker.stop().await;
}

/// At the default profile a repeated call is rejected. After a call whose answer was lost, the state of the token says
/// whether that call has worked.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn an_ambiguous_rejection_is_settled_by_the_state_of_the_token() {
    for kind in KINDS.into_iter().filter(|kind| tells(*kind)) {
        for alive in [false, true] {
            let (stage, server) = (Stage::new().await, AuthorizationServer::start(kind).await);
            let owner = Client::basic();
            let token = server.mint(&owner).await;
            if !alive {
                assert_eq!(server.revoke(&owner, &token).await.status, 200);
            }
            let endpoint = Endpoint::start(|call| match call.nth {
                1 => Answer::status(503),
                _ => Answer::rejected(),
            })
            .await;
            let launch = stage.run(&endpoint).verifying_at(&server, "ambiguous");
            let worker = launch.set("verify.trusts_inactive", true).ready().await;
            stage.amqp.publish(INTERACTIVE, Message::job(&token)).await;
            let metrics = if alive {
                let letter = stage.amqp.take(DEAD, 1).await.remove(0);
                assert_eq!(letter.reason(), "rejected", "{kind:?}");
                ended(&worker, "dead_lettered", 1).await
            } else {
                ended(&worker, "revoked", 1).await
            };
            assert_eq!((metrics.calls("http_5xx"), metrics.calls("rejected")), (1, 1), "{kind:?}");
            assert_eq!(metrics.sum("verifications_total"), 1, "{kind:?}");
            assert_eq!(server.accepts(&owner, &token).await, alive, "{kind:?}");
            worker.stop().await;
        }
    }
}

/// `check` with a live token: a server whose introspection does not support refresh tokens is a fault.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs scripts/authorization-servers"]
async fn check_finds_the_server_that_calls_live_tokens_inactive() {
    for kind in KINDS {
        let (stage, server) = (Stage::new().await, AuthorizationServer::start(kind).await);
        stage.amqp.declare_family().await;
        let client = Client::basic();
        let token = server.mint(&client).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, &token).unwrap();
        let check = stage.launch("check").revoking_at(&server, &client);
        let check = check.verifying_at(&server, "after").arg("--live-token-file");
        let (check, status) = check.arg(file.display()).run().await;
        let (code, words) = if tells(kind) {
            (0, "ok     calls the live token active")
        } else {
            (2, "FAULT  calls the live token inactive")
        };
        assert_eq!(status.code(), Some(code), "{kind:?}: {}", check.stdout());
        assert!(check.stdout().contains(words), "{kind:?}: {}", check.stdout());
        assert!(server.accepts(&client, &token).await, "{kind:?}: a check must not use the token");
    }
}
