//! What `revoker topology print` prints suffices: a worker starts on imported queues, and each role works with its
//! rights alone.

mod rabbitmqadmin;

use std::iter;

use lapin::types::FieldTable;

use crate::harness::{
    Answer, BULK, DEAD, Endpoint, INTERACTIVE, Launch, Message, Stage,
    amqp::{dead_lettering, quorum},
    token,
};

/// The user of the tests' URLs. It plays every role in turn.
const USER: &str = "worker";

/// One retry queue for each lane, with a short delay.
const PARK: &str = "100ms";

/// The versions that show a queue only to users who may configure it.
const CONFIGURE_TO_ASK: [[u32; 3]; 2] = [[4, 2, 6], [4, 3, 0]];

/// The output of `revoker topology print`.
async fn printed(stage: &Stage, format: &str, declare: &str) -> String {
    let launch = with_short_park(stage.launch("topology")).set("broker.declare", declare);
    let (print, status) = launch.arg("print").arg("--format").arg(format).run().await;
    assert_eq!(status.code(), Some(0), "{}", print.stderr());
    assert_eq!(print.stderr(), "");
    print.stdout()
}

fn with_short_park(launch: Launch) -> Launch {
    launch.set("retry.park", PARK)
}

/// The words of each printed command.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| shlex::split(line).unwrap()).collect()
}

/// Runs printed commands of rabbitmqctl.
async fn run(stage: &Stage, commands: impl IntoIterator<Item = Vec<String>>) {
    for words in commands {
        assert_eq!(words[0], "rabbitmqctl");
        let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        stage.host.node().ctl(&arguments).await;
    }
}

/// Gives the tests' user the printed rights of a role.
async fn act_as(stage: &Stage, role: &str, declare: &str) {
    let mut commands = commands(&printed(stage, "permissions", declare).await);
    commands.retain(|words| words[4] == format!("revoker-{role}"));
    assert_eq!(commands.len(), 1, "{commands:?}");
    USER.clone_into(&mut commands[0][4]);
    if declare == "false" && CONFIGURE_TO_ASK.contains(&stage.host.node().version().await) {
        r"^revocations(\..*)?$".clone_into(&mut commands[0][5]);
    }
    run(stage, commands).await;
}

async fn import(stage: &Stage) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("definitions.json");
    std::fs::write(&file, printed(stage, "definitions", "false").await).unwrap();
    stage.host.node().ctl(&["import_definitions", file.to_str().unwrap()]).await;
}

/// One job is revoked after it was parked, one becomes a dead letter.
async fn works(stage: &Stage, declare: &str) {
    let endpoint = Endpoint::start(|call| match (call.token == token(1), call.nth) {
        (true, _) => Answer::rejected(),
        (false, 1..4) => Answer::status(503),
        (false, _) => Answer::revoked(),
    })
    .await;
    let launch = with_short_park(stage.run(&endpoint)).set("retry.hold", "60ms");
    let worker = launch.set("broker.declare", declare).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    stage.amqp.publish(BULK, Message::job(&token(2))).await;
    worker.until_processed("dead_lettered", 1).await;
    let metrics = worker.until_processed("revoked", 1).await;
    assert!(metrics.publishes("retry", "confirmed") >= 1, "it was never parked");
    worker.stop().await;
    assert_eq!(stage.amqp.take(DEAD, 1).await[0].reason(), "rejected");
}

/// A worker that declares nothing starts at once on imported queues, and so does one that compares their arguments.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_on_imported_definitions() {
    let stage = Stage::new().await;
    assert_eq!(stage.amqp.depth(INTERACTIVE).await, None);
    import(&stage).await;
    works(&stage, "false").await;
    works(&stage, "true").await;
    works(&stage, "missing").await;
}

/// Each role works with its printed rights.
#[tokio::test(flavor = "multi_thread")]
async fn the_printed_rights_of_a_worker_suffice() {
    for declare in ["true", "missing", "false"] {
        let stage = Stage::new().await;
        if declare == "false" {
            import(&stage).await;
        }
        act_as(&stage, "worker", declare).await;
        works(&stage, declare).await;
    }
}

/// A producer enqueues with its printed rights, and may not read.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_with_the_printed_rights_publishes_and_no_more() {
    const JOBS: usize = 5;
    let stage = Stage::new().await;
    import(&stage).await;
    act_as(&stage, "producer", "false").await;
    let lines = (0..JOBS).map(|n| Message::job(&token(n)).body);
    let input: Vec<u8> = lines.flat_map(|line| line.into_iter().chain(iter::once(b'\n'))).collect();
    let enqueue = with_short_park(stage.enqueue()).set("broker.declare", "false");
    let (enqueue, status) = enqueue.arg("-").input(input).run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    stage.amqp.until_ready(BULK, u32::try_from(JOBS).unwrap()).await;

    stage.amqp.publish(DEAD, Message::job(&token(9))).await;
    let list = stage.launch("dead-letters").arg("list").set("broker.declare", "false");
    let (list, status) = list.run().await;
    assert_eq!(status.code(), Some(1), "{}", list.stdout());
    assert!(list.stderr().contains("ACCESS_REFUSED"), "{}", list.stderr());
    stage.amqp.until_ready(DEAD, 1).await;
}

/// An operator lists, replays and discards dead letters with the printed rights, and may not read the lanes.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_with_the_printed_rights_works_on_dead_letters() {
    let stage = Stage::new().await;
    import(&stage).await;
    act_as(&stage, "operator", "false").await;
    stage.amqp.publish_all(DEAD, (0..2).map(|n| Message::job(&token(n)))).await;
    let command = |action: &str| {
        let launch = with_short_park(stage.launch("dead-letters")).set("broker.declare", "false");
        launch.arg(action)
    };
    let (list, status) = command("list").run().await;
    assert_eq!(status.code(), Some(0), "{}", list.stderr());
    assert!(list.stdout().contains("2 dead letters"), "{}", list.stdout());
    let (replay, status) = command("replay").arg("--limit").arg("1").run().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    stage.amqp.until_ready(DEAD, 1).await;
    let (discard, status) = command("discard").arg("--yes").run().await;
    assert_eq!(status.code(), Some(0), "{}", discard.stderr());
    stage.amqp.until_ready(DEAD, 0).await;
    let lanes = async || {
        let of = async |queue| stage.amqp.depth(queue).await.unwrap().ready;
        of(INTERACTIVE).await + of(BULK).await
    };
    assert_eq!(lanes().await, 1, "it was replayed");

    // The same command on a lane's queue, as if it were a dead-letter queue.
    stage.amqp.declare("revocations.bulk.dead", quorum()).await;
    let (other, status) = command("list").set("broker.queue", "revocations.bulk").run().await;
    assert_eq!(status.code(), Some(1), "{}", other.stdout());
    assert!(other.stderr().contains("ACCESS_REFUSED"), "{}", other.stderr());
}

/// Queues of the right type without other arguments get these from the printed policies: a parked job returns to its
/// lane, and is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn printed_policies_stand_in_for_arguments() {
    let stage = Stage::new().await;
    let policies = commands(&printed(&stage, "policies", "false").await);
    let parked = ["interactive", "bulk"].map(|lane| format!("revocations.retry.{lane}.{PARK}"));
    for queue in [DEAD, INTERACTIVE, BULK, &parked[0], &parked[1]] {
        let mut arguments = FieldTable::default();
        let kind = quorum().inner()["x-queue-type"].clone();
        arguments.insert("x-queue-type".into(), kind);
        stage.amqp.declare(queue, arguments).await;
    }
    assert_eq!(policies.len(), 5);
    run(&stage, policies).await;
    works(&stage, "false").await;
}

/// With `broker.declare = "missing"` absent queues are declared. A present one is used as it is, and named once.
#[tokio::test(flavor = "multi_thread")]
async fn only_missing_queues_are_declared() {
    let stage = Stage::new().await;
    // A classic queue: a declaration with our arguments is refused.
    stage.amqp.declare(BULK, FieldTable::default()).await;
    let (check, _) = with_short_park(stage.launch("check"))
        .set("broker.declare", "missing")
        .set("credentials.client_id", "client")
        .set("credentials.client_secret", crate::harness::canary::SECRET)
        .run()
        .await;
    let row = |queue: &str| {
        let rows = check.stdout();
        rows.lines().find(|row| row.starts_with(&format!("queue {queue} "))).unwrap().to_owned()
    };
    assert!(row(BULK).contains("note") && row(BULK).contains("other arguments"), "{}", row(BULK));
    assert!(row(DEAD).contains("the worker will declare it"), "{}", row(DEAD));
    assert_eq!(stage.amqp.depth(DEAD).await, None, "check declares nothing");

    works(&stage, "missing").await;
    // Both are as they were, or as the worker would have declared them.
    stage.amqp.declare(BULK, FieldTable::default()).await;
    stage.amqp.declare(INTERACTIVE, dead_lettering(DEAD)).await;
    stage.amqp.declare(DEAD, quorum()).await;
}
