//! A broker that blocks publishing while dead letters are replayed.

use std::collections::BTreeSet;

use super::dead;
use crate::harness::{
    BULK, DEAD, INTERACTIVE, Stage, StoredMessage, broker::OwnBroker, eventually, token,
};

/// Dead letters: many more bytes than a batch has, and than the buffers of an unread connection hold.
const LETTERS: usize = 2000;

/// The bytes of each body.
const BODY: usize = 10_000;

/// While the broker blocks publishing, the replay stops reading and holds its messages. The reading connection is not
/// lost, and each message is replayed once after the block.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_holds_its_letters_during_a_memory_alarm() {
    // Sooner than by default, the broker closes a connection that is not read.
    let broker = OwnBroker::start("tcp_listen_options.send_timeout = 10000\n", None).await;
    let mut stage = Stage::own(&broker).await;
    let large = |n: usize| {
        let head = format!(r#"{{"refresh_token":"{}","padding":""#, token(n));
        let padding = "x".repeat(BODY - head.len() - 2);
        dead(n, "exhausted").with_body(format!(r#"{head}{padding}"}}"#))
    };
    stage.publish_dead((0..LETTERS).map(large)).await;
    // The broker blocks connections that have published, and reads nothing from them.
    stage.reconnect().await;
    broker.node().ctl(&["set_vm_memory_high_watermark", "absolute", "1"]).await;
    eventually("the alarm", async || {
        let alarms = broker.node().ctl(&["eval", "rabbit_alarm:get_local_alarms()."]).await;
        if alarms.contains("memory") { Ok(()) } else { Err(alarms) }
    })
    .await;
    let replay = stage.dead_letters("replay").start();
    // The replay has selected its messages, and publishes.
    eventually("the connection to be blocked", async || {
        let states = "[State || Pid <- rabbit_networking:connections(), \
                      {state, State} <- rabbit_reader:info(Pid, [state])].";
        let states = broker.node().ctl(&["eval", states]).await;
        if states.contains("blocked") { Ok(()) } else { Err(states) }
    })
    .await;
    // The queue's own count of consumers holds those that were cancelled and keep messages.
    let consumers = format!(
        r#"{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{}">>, queue, <<"{DEAD}">>)),
            length(rabbit_amqqueue:consumers(Queue))."#,
        stage.host.name()
    );
    eventually("the reading to be ended with its letters held", async || {
        let before = broker.node().ctl(&["eval", &consumers]).await;
        // A connection that is lost gives its messages back.
        let ready = stage.amqp.depth(DEAD).await.unwrap().ready as usize;
        let after = broker.node().ctl(&["eval", &consumers]).await;
        let is_held = before == "0" && ready < LETTERS && after == "0";
        if is_held { Ok(()) } else { Err(format!("{before} {ready} {after}")) }
    })
    .await;
    broker.node().ctl(&["set_vm_memory_high_watermark", "absolute", "1GB"]).await;
    assert_eq!(replay.exit().await.code(), Some(0), "{}", replay.stderr());
    let mut back = stage.amqp.take_all(BULK).await;
    back.extend(stage.amqp.take_all(INTERACTIVE).await);
    assert_eq!(back.len(), LETTERS, "letters went back twice");
    let tokens: BTreeSet<String> = back.iter().map(StoredMessage::token).collect();
    assert_eq!(tokens, (0..LETTERS).map(token).collect());
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}
