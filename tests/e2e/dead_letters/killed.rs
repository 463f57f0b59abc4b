//! Commands that are killed, interrupted or disconnected: no message is lost, no other message is touched, and the rest
//! keeps its order.

use std::collections::BTreeSet;

use super::{dead, json, tokens};
use crate::harness::{
    BULK, DEAD, Message, Stage,
    relay::{Relay, Stall},
    token,
};

/// Messages that a killed replay may leave both in their lane and in the dead-letter queue.
const REPLAY_BATCH: usize = 128;

/// The messages and the rate of a replay that is ended midway: it would take longer than any wait of a test.
const LONG_REPLAY: (usize, usize) = (1_000, 8);

fn all(count: usize) -> Vec<String> {
    (0..count).map(token).collect()
}

/// The command is killed twice while it reads. The second time, every message was requeued once before: there, a browse
/// of a part would rotate the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_list_leaves_every_letter_in_order() {
    const LETTERS: u32 = 1_000;
    let stage = Stage::new().await;
    stage.publish_dead((0..LETTERS as usize).map(|n| dead(n, "exhausted"))).await;
    for action in ["list", "list", "show"] {
        let stall = Stall { to_target: None, from_target: Some(100_000) };
        let relay = Relay::open_until(stage.broker_address(), stall).await;
        let mut launch = stage.dead_letters(action).set("broker.url", stage.url_by(&relay));
        if action == "show" {
            launch = launch.arg("job-1");
        }
        let killed = launch.start();
        relay.stalled().await;
        stage
            .amqp
            .until_depth(DEAD, "be held", |depth| depth.ready == 0 && depth.consumers > 0)
            .await;
        killed.kill().await;
        stage.amqp.until_ready(DEAD, LETTERS).await;
    }
    assert_eq!(tokens(&stage.amqp.take_all(DEAD).await), all(LETTERS as usize));
}

/// Messages of several consumers are all read in order, and return in order, also when the command is killed.
#[tokio::test(flavor = "multi_thread")]
async fn more_letters_than_one_consumer_can_hold_stay_in_order() {
    const LETTERS: u32 = 66_000;
    let stage = Stage::new().await;
    stage.publish_dead((0..LETTERS).map(|n| Message::new(n.to_string()))).await;
    let list = stage.dead_letters("list");
    let (whole, status) = list.clone().arg("--json").arg("--limit").arg(0).run().await;
    assert_eq!(status.code(), Some(0), "{}", whole.stderr());
    assert_eq!(json(&whole)["looked_at"], LETTERS);
    stage.amqp.until_ready(DEAD, LETTERS).await;

    let stall = Stall { to_target: None, from_target: Some(1_000_000) };
    let relay = Relay::open_until(stage.broker_address(), stall).await;
    let killed = list.set("broker.url", stage.url_by(&relay)).start();
    relay.stalled().await;
    stage.amqp.until_depth(DEAD, "be held", |depth| depth.ready == 0 && depth.consumers > 0).await;
    killed.kill().await;
    stage.amqp.until_ready(DEAD, LETTERS).await;
    let letters = stage.amqp.drain(DEAD, LETTERS).await;
    let numbers = letters.iter().map(|letter| String::from_utf8_lossy(&letter.body).into_owned());
    assert!(numbers.eq((0..LETTERS).map(|n| n.to_string())), "out of order");
}

/// A consumer that ends puts what it held behind the rest. The next command returns that part first, and it is far more
/// than the nacks whose order the broker keeps by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_list_restores_the_order_of_many_letters() {
    const LETTERS: u32 = 400;
    const HELD: u16 = 250;
    let stage = Stage::new().await;
    stage.publish_dead((0..LETTERS as usize).map(|n| dead(n, "exhausted"))).await;
    let list = || async {
        let (list, status) = stage.dead_letters("list").run().await;
        assert_eq!(status.code(), Some(0), "{}", list.stderr());
        stage.amqp.until_ready(DEAD, LETTERS).await;
    };
    // From now on, every message was requeued once.
    list().await;
    drop(stage.amqp.hold(DEAD, HELD).await);
    stage.amqp.until_ready(DEAD, LETTERS).await;
    list().await;
    let letters = tokens(&stage.amqp.take_all(DEAD).await);
    let misplaced =
        letters.iter().zip(all(LETTERS as usize)).position(|(one, other)| *one != other);
    assert_eq!((letters.len(), misplaced), (LETTERS as usize, None), "out of order");
}

/// After a killed replay, each message is in its lane or still dead, few are both, and the rest is in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replay_loses_nothing() {
    const LETTERS: usize = LONG_REPLAY.0;
    let stage = Stage::new().await;
    stage.publish_dead((0..LETTERS).map(|n| dead(n, "exhausted"))).await;
    let launch = stage.dead_letters("replay").arg("--rate").arg(LONG_REPLAY.1);
    let replay = launch.arg("--to-lane").arg("bulk").start();
    stage.amqp.until_depth(BULK, "get 20", |depth| depth.ready >= 20).await;
    replay.kill().await;

    stage.amqp.after_consumers(DEAD).await;
    let left = tokens(&stage.amqp.take_all(DEAD).await);
    let back = tokens(&stage.amqp.take_all(BULK).await);
    assert!(!left.is_empty(), "it was killed too late");
    let union: BTreeSet<_> = left.iter().chain(&back).cloned().collect();
    assert_eq!(union.len(), LETTERS, "letters were lost");
    let twice = left.len() + back.len() - LETTERS;
    assert!(twice <= REPLAY_BATCH, "{twice} are in both queues");
    let order: Vec<_> = all(LETTERS).into_iter().filter(|token| left.contains(token)).collect();
    assert_eq!(left, order, "out of order");
    assert_eq!(back, all(back.len()), "the oldest first, each once");
}

/// After a discard that was killed while it sent acks, only selected messages are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_discard_takes_nothing_else() {
    const LETTERS: usize = 2_000;
    let stage = Stage::new().await;
    let reason = |n: usize| if n.is_multiple_of(2) { "exhausted" } else { "rejected" };
    stage.publish_dead((0..LETTERS).map(|n| dead(n, reason(n)))).await;
    // Every second message is acked by itself: a thousand frames, of which this lets some through.
    let stall = Stall { to_target: Some(10_000), from_target: None };
    let relay = Relay::open_until(stage.broker_address(), stall).await;
    let discard = stage
        .dead_letters("discard")
        .arg("--reason")
        .arg("exhausted")
        .arg("--yes")
        .set("broker.url", stage.url_by(&relay))
        .start();
    relay.stalled().await;
    stage.host.until_stored(&[DEAD], "lose some", |left| left < LETTERS).await;
    discard.kill().await;

    stage.amqp.after_consumers(DEAD).await;
    let left = tokens(&stage.amqp.take_all(DEAD).await);
    let order: Vec<_> = all(LETTERS).into_iter().filter(|token| left.contains(token)).collect();
    assert_eq!(left, order, "out of order");
    let kept = (0..LETTERS).filter(|n| n % 2 == 1).map(token).filter(|token| left.contains(token));
    assert_eq!(kept.count(), LETTERS / 2, "others are gone");
    assert!((LETTERS / 2 + 1..LETTERS).contains(&left.len()), "{} are left", left.len());
}

/// The first signal ends a replay in order: the messages that it reports are in the lane once, and the rest is still
/// dead.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_replay_reports_its_results() {
    const LETTERS: usize = LONG_REPLAY.0;
    let stage = Stage::new().await;
    stage.publish_dead((0..LETTERS).map(|n| dead(n, "exhausted"))).await;
    let launch = stage.dead_letters("replay").arg("--rate").arg(LONG_REPLAY.1);
    let replay = launch.arg("--to-lane").arg("bulk").arg("--json").start();
    stage.amqp.until_depth(BULK, "get 20", |depth| depth.ready >= 20).await;
    replay.signal("INT");
    let status = replay.exit().await;
    assert_eq!(status.code(), Some(1), "{}", replay.stderr());
    assert!(replay.stderr().contains("the same command continues"), "{}", replay.stderr());

    let summary = json(&replay);
    let replayed: usize = summary["replayed"].as_u64().unwrap().try_into().unwrap();
    assert_eq!(summary["left"], LETTERS - replayed);
    assert!((20..LETTERS).contains(&replayed), "{summary}");
    let back = tokens(&stage.amqp.take_all(BULK).await);
    assert_eq!(back, all(replayed));
    let left = tokens(&stage.amqp.take(DEAD, u32::try_from(LETTERS - replayed).unwrap()).await);
    assert_eq!(left, all(LETTERS)[replayed..]);

    // A second replay sends the rest.
    stage.publish_dead((replayed..LETTERS).map(|n| dead(n, "exhausted"))).await;
    let (replay, status) = stage.dead_letters("replay").arg("--to-lane").arg("bulk").run().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    assert_eq!(tokens(&stage.amqp.take_all(BULK).await), all(LETTERS)[replayed..]);
}

/// The replay reconnects and continues with the rest. Here every connection stalls after a part of the messages, until
/// it is reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_survives_the_loss_of_its_connections() {
    const LETTERS: usize = 200;
    let stage = Stage::new().await;
    stage.publish_dead((0..LETTERS).map(|n| dead(n, "exhausted"))).await;
    let stall = Stall { to_target: Some(12_000), from_target: None };
    let way = Relay::open_until(stage.broker_address(), stall).await;
    let launch = stage.dead_letters("replay").arg("--rate").arg(50).arg("--to-lane").arg("bulk");
    let replay = launch.set("broker.url", stage.url_by(&way)).arg("--json").start();
    let mut losses = 0;
    let status = loop {
        tokio::select! {
            status = replay.exit() => break status,
            () = way.stalled_often(losses + 1) => {
                losses += 1;
                // A browse that starts before the broker has requeued the messages would miss them.
                way.hold();
                way.reset();
                stage.amqp.after_consumers(DEAD).await;
                way.release();
            }
        }
    };
    assert!(losses >= 2, "{losses} connections were lost");
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    assert_eq!(json(&replay)["replayed"], LETTERS);
    let back = tokens(&stage.amqp.take_all(BULK).await);
    assert_eq!(back.iter().cloned().collect::<BTreeSet<_>>().len(), LETTERS);
    assert!(back.len() <= LETTERS + losses * REPLAY_BATCH, "{} were published", back.len());
    stage.amqp.until_ready(DEAD, 0).await;
}
