//! A broker that blocks publishing while dead letters are replayed.

use std::collections::BTreeSet;

use super::dead;
use crate::harness::{
    BULK, DEAD, INTERACTIVE, Letter, Stage, amqp::Depth, broker::OwnBroker, eventually, token,
};

/// Dead letters: far more bytes than one batch, and than fit in the buffers of a connection that is not read.
const LETTERS: usize = 2000;

/// The bytes of each body.
const BODY: usize = 10_000;

/// While the broker blocks publishing, the replay ends the reading and holds its letters: the connection that reads
/// is not lost, and each letter goes back once when the block is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_waits_out_a_memory_alarm_and_keeps_its_letters() {
    // Sooner than by default, the broker closes a connection that is not read.
    let broker = OwnBroker::start("tcp_listen_options.send_timeout = 10000\n", None).await;
    let stage = Stage::own(&broker).await;
    let large = |n: usize| {
        let head = format!(r#"{{"refresh_token":"{}","padding":""#, token(n));
        let padding = "x".repeat(BODY - head.len() - 2);
        dead(n, "exhausted").with_body(format!(r#"{head}{padding}"}}"#))
    };
    stage.bury((0..LETTERS).map(large)).await;
    broker.node().ctl(&["set_vm_memory_high_watermark", "absolute", "1"]).await;
    eventually("the alarm", async || {
        let alarms = broker.node().ctl(&["eval", "rabbit_alarm:get_local_alarms()."]).await;
        if alarms.contains("memory") { Ok(()) } else { Err(alarms) }
    })
    .await;
    let replay = stage.dead_letters("replay").start();
    // It has chosen its letters, and publishes.
    eventually("the connection to be blocked", async || {
        let states = "[State || Pid <- rabbit_networking:connections(), \
                      {state, State} <- rabbit_reader:info(Pid, [state])].";
        let states = broker.node().ctl(&["eval", states]).await;
        if states.contains("blocked") { Ok(()) } else { Err(states) }
    })
    .await;
    // A connection that is lost gives its letters back.
    let is_held = |depth: Depth| depth.consumers == 0 && (depth.ready as usize) < LETTERS;
    stage.amqp.until_depth(DEAD, "be held, with its reading ended", is_held).await;
    broker.node().ctl(&["set_vm_memory_high_watermark", "absolute", "1GB"]).await;
    assert_eq!(replay.exit().await.code(), Some(0), "{}", replay.stderr());
    let mut back = stage.amqp.take_all(BULK).await;
    back.extend(stage.amqp.take_all(INTERACTIVE).await);
    assert_eq!(back.len(), LETTERS, "letters went back twice");
    let tokens: BTreeSet<String> = back.iter().map(Letter::token).collect();
    assert_eq!(tokens, (0..LETTERS).map(token).collect());
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}
