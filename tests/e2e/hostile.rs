//! Tests that a message's content cannot control the worker. No property or header of a producer redirects, hides,
//! copies or expires the messages that the worker publishes about it.

use lapin::types::{AMQPValue, FieldTable};

use crate::harness::{
    Answer, DEAD, Endpoint, INTERACTIVE, Message, Stage, StoredMessage,
    broker::OwnBroker,
    eventually,
    message::{table, text, texts},
    token,
};

/// The retry queue that the workers here use.
const RETRY: &str = "revocations.retry.interactive.1s";
/// A queue that a hostile message would be copied to.
const TRAP: &str = "trap";
/// The queue for copies that expire in the trap before a test reads it.
const SPRUNG: &str = "trap.sprung";
/// The expiration of the hostile messages, in milliseconds.
const EXPIRATION: &str = "3000";
/// The count of deliveries that they claim.
const FORGED_DELIVERY_COUNT: i64 = 7;

/// The header that the broker would write if the message had been in `queue` before.
fn death(queue: &str) -> AMQPValue {
    AMQPValue::FieldTable(table([
        ("queue", text(queue)),
        ("reason", text("expired")),
        ("exchange", text("")),
        ("routing-keys", texts(&[queue])),
        ("count", AMQPValue::LongLongInt(1)),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
    ]))
}

/// A message with every attack at once: an expiration, copies to another queue, a foreign user, and a forged record of
/// deaths.
fn hostile(token: &str) -> Message {
    let deaths = [death(RETRY), death(INTERACTIVE), death(DEAD)];
    Message::job(token)
        .id("hostile")
        .with(|properties| {
            properties
                .with_expiration(EXPIRATION.into())
                .with_user_id("guest".into())
                .with_reply_to(TRAP.into())
                .with_priority(9)
        })
        .header("CC", texts(&[TRAP]))
        .header("BCC", texts(&[TRAP]))
        .header("x-death", AMQPValue::FieldArray(deaths.to_vec().into()))
        .header("x-first-death-queue", text(RETRY))
        .header("x-first-death-reason", text("expired"))
        .header("x-first-death-exchange", text(""))
        .header("x-delivery-count", AMQPValue::LongLongInt(FORGED_DELIVERY_COUNT))
        .header("tenant", text("eu"))
}

/// Asserts that a message of the product inherited none of the attacks.
fn assert_disarmed(letter: &StoredMessage) {
    assert_eq!(letter.properties.expiration(), &None);
    assert_eq!(letter.properties.user_id(), &None);
    assert_eq!(letter.properties.reply_to(), &None);
    for name in ["CC", "BCC"] {
        assert_eq!(letter.header(name), None, "{name}");
    }
}

/// Publishes the hostile message, and takes the copy that the broker made for the producer, so the attack works. Any
/// later message in the trap is a copy of a message that the worker published.
async fn spring_the_trap(stage: &Stage) {
    stage.amqp.declare(SPRUNG, FieldTable::default()).await;
    stage.amqp.declare(TRAP, expiring_into(SPRUNG)).await;
    // A worker is ready a moment before it consumes, and until then the message could expire in the lane.
    stage.amqp.until_depth(INTERACTIVE, "be consumed", |depth| depth.consumers == 1).await;
    stage.amqp.publish(INTERACTIVE, hostile(&token(1))).await;
    eventually("the copy", async || {
        let copies = [stage.amqp.take_all(TRAP).await, stage.amqp.take_all(SPRUNG).await].concat();
        if copies.len() == 1 { Ok(()) } else { Err(format!("{} copies", copies.len())) }
    })
    .await;
}

/// Asserts that no message of the worker was copied.
async fn assert_nothing_in_the_trap(stage: &Stage) {
    for queue in [TRAP, SPRUNG] {
        assert_eq!(stage.amqp.depth(queue).await.unwrap().ready, 0, "{queue} holds a copy");
    }
}

/// The arguments of a queue whose expired messages go to another queue.
fn expiring_into(queue: &str) -> FieldTable {
    table([("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(queue))])
}

/// Waits until a message with the hostile expiration, published now, has expired.
async fn outlast_the_expiration(stage: &Stage) {
    stage.amqp.declare("witness.expired", FieldTable::default()).await;
    stage.amqp.declare("witness", expiring_into("witness.expired")).await;
    let witness = Message::new("").with(|properties| properties.with_expiration(EXPIRATION.into()));
    stage.amqp.publish("witness", witness).await;
    stage.amqp.until_ready("witness.expired", 1).await;
}

/// The dead letter of such a message is there, is still there when the expiration has passed, and is
/// nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_message_becomes_an_ordinary_dead_letter() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let worker = stage.run(&endpoint).ready().await;
    spring_the_trap(&stage).await;
    stage.amqp.until_ready(DEAD, 1).await;
    outlast_the_expiration(&stage).await;

    worker.until_processed("dead_lettered", 1).await;
    assert_nothing_in_the_trap(&stage).await;
    let letters = stage.amqp.take(DEAD, 1).await;
    assert_disarmed(&letters[0]);
    for name in ["x-death", "x-first-death-queue", "x-first-death-reason"] {
        assert_eq!(letters[0].header(name), None, "{name}");
    }
    // The broker writes this header itself for each delivery.
    assert_ne!(letters[0].int("x-delivery-count"), Some(FORGED_DELIVERY_COUNT));
    assert_eq!(letters[0].reason(), "rejected");
    assert_eq!(letters[0].int("x-revoker-attempts"), Some(1));
    assert_eq!(letters[0].text("tenant").as_deref(), Some("eu"));
    let metrics = worker.metrics().await;
    assert_eq!(metrics.sessions("channel_closed"), 0, "the foreign user closed a channel");
    worker.stop().await;
    assert_eq!(endpoint.count(), 1);
}

/// The same message parked: the broker does not drop it as a cycle because of the forged deaths, nothing expires
/// early, and it returns and is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_message_is_parked_and_comes_back() {
    let stage = Stage::new().await;
    let (endpoint, recovered) = Endpoint::failing(Answer::revoked).await;
    let worker = stage.run(&endpoint).set("retry.hold", "100ms").ready().await;
    spring_the_trap(&stage).await;
    let parked = r#"deferrals_total{how="parked",lane="interactive"}"#;
    worker.until_metrics("three stays", |metrics| metrics.value(parked) >= 3).await;
    outlast_the_expiration(&stage).await;
    recovered.open();

    worker.until_processed("revoked", 1).await;
    stage.host.until_acked(&[INTERACTIVE, RETRY]).await;
    worker.stop().await;
    for queue in [INTERACTIVE, RETRY, DEAD] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }
    assert_nothing_in_the_trap(&stage).await;
}

/// The parked message has none of the attacks: an inherited expiration would end a long delay early.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_hostile_message_is_disarmed() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::status(503)).await;
    let launch = stage.run(&endpoint).set("retry.hold", "100ms").set("retry.park", "1h");
    let worker = launch.ready().await;
    spring_the_trap(&stage).await;
    let queue = "revocations.retry.interactive.1h";
    stage.amqp.until_ready(queue, 1).await;
    outlast_the_expiration(&stage).await;

    let letters = stage.amqp.take(queue, 1).await;
    assert_disarmed(&letters[0]);
    assert_eq!(letters[0].header("x-death"), None);
    assert_nothing_in_the_trap(&stage).await;
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// A history that would exhaust the job, explain its rejection, or set its reason, with a forged MAC.
fn forged(token: &str) -> Message {
    Message::job(token)
        .header("x-revoker-attempts", AMQPValue::LongInt(1_000_000))
        .header("x-revoker-parked", AMQPValue::LongInt(1_000_000))
        .header("x-revoker-first-failed-at", AMQPValue::Timestamp(1))
        .header("x-revoker-last-error", text("timeout"))
        .header("x-revoker-ambiguous", AMQPValue::Boolean(true))
        .header("x-revoker-ambiguity", text("attempt"))
        .header("x-revoker-lane", text("interactive"))
        .header("x-revoker-mac", text(&format!("v2:{}", "0f".repeat(32))))
        .header("x-revoker-reason", text("made up"))
        .header("x-revoker-detail", text("made up"))
        .header("x-revoker-anything", text("made up"))
        .header("x-revoker-replays", AMQPValue::LongInt(3))
}

/// A forged history does not exhaust a job, make its rejection ambiguous, have it presumed revoked, or reach the dead
/// letter. The forgery has only our headers; or also the broker's record of a death, which the broker does not change;
/// or passes through a retry queue, so that the record is real; or copies the history of another job with its MAC.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_history_is_ignored() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| {
        if call.token == token(0) { Answer::status(503) } else { Answer::rejected() }
    })
    .await;
    let worker = stage.run(&endpoint).presuming().set("retry.hold", "100ms").ready().await;
    // A job with a real history, which is then copied.
    stage.amqp.publish(INTERACTIVE, Message::job(&token(0)).id("stolen")).await;
    let parked = r#"deferrals_total{how="parked",lane="interactive"}"#;
    worker.until_metrics("a stay", |metrics| metrics.value(parked) >= 1).await;
    let stolen = take_parked(&stage).await;
    assert!(stolen.text("x-revoker-mac").unwrap().starts_with("v2:"));
    assert_eq!(stolen.text("x-revoker-ambiguity").as_deref(), Some("attempt"));
    let theft = |token: &str| {
        let headers = stolen.properties.headers().clone().unwrap();
        headers.into_iter().fold(Message::job(token).id("stolen"), |message, (name, value)| {
            message.header(name.as_str(), value.clone())
        })
    };

    let out_of_retry = |message: Message| {
        message
            .header("x-first-death-queue", text(RETRY))
            .header("x-first-death-reason", text("expired"))
            .header("x-first-death-exchange", text(""))
    };
    let forgeries = [
        (INTERACTIVE, forged(&token(1))),
        (INTERACTIVE, out_of_retry(forged(&token(2)))),
        (RETRY, forged(&token(3))),
        (INTERACTIVE, theft(&token(4))),
        (RETRY, theft(&token(5))),
    ];
    let count = u32::try_from(forgeries.len()).unwrap();
    for (queue, forgery) in forgeries {
        stage.amqp.publish(queue, forgery).await;
    }

    let letters = stage.amqp.take(DEAD, count).await;
    for letter in &letters {
        let token = letter.token();
        assert_eq!(letter.reason(), "rejected", "{token}");
        assert_eq!(letter.int("x-revoker-attempts"), Some(1), "{token}");
        assert!(letter.time("x-revoker-first-failed-at").unwrap() > 1_000_000, "{token}");
        assert_eq!(letter.flag("x-revoker-ambiguous"), Some(false), "{token}");
        assert_eq!(letter.text("x-revoker-lane").as_deref(), Some("interactive"));
        for name in ["anything", "parked", "ambiguity", "mac"] {
            assert_eq!(letter.header(&format!("x-revoker-{name}")), None, "{name} of {token}");
        }
        assert_ne!(letter.text("x-revoker-detail").as_deref(), Some("made up"));
    }
    let replays = letters.iter().filter(|letter| letter.int("x-revoker-replays") == Some(3));
    assert_eq!(replays.count(), 3, "this one is kept");
    let metrics = worker.until_processed("dead_lettered", count as usize).await;
    assert_eq!(metrics.processed("presumed_revoked"), 0);
    worker.stop().await;
}

/// Takes the one parked job, and waits for it if necessary.
async fn take_parked(stage: &Stage) -> StoredMessage {
    eventually("a parked job", async || {
        stage.amqp.take_all(RETRY).await.into_iter().next().ok_or_else(|| "none".to_owned())
    })
    .await
}

/// With the key, a worker accepts the history of another worker: the ambiguous attempt explains the rejection.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_history_is_believed_by_its_mac() {
    let stage = Stage::new().await;
    let (endpoint, failing) = Endpoint::failing(Answer::rejected).await;
    let launch = stage.run(&endpoint).presuming().set("retry.hold", "100ms");
    let first = launch.ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1)).id("job-1")).await;
    let parked = r#"deferrals_total{how="parked",lane="interactive"}"#;
    first.until_metrics("a stay", |metrics| metrics.value(parked) >= 1).await;
    first.stop().await;
    let calls = endpoint.count();
    failing.open();

    let second = launch.ready().await;
    let metrics = second.until_processed("presumed_revoked", 1).await;
    assert_eq!(metrics.calls("rejected"), 1);
    assert_eq!(
        endpoint.count(),
        calls + 1,
        "the attempt that may have worked was the other worker's"
    );
    second.stop().await;
    assert_eq!(stage.amqp.depth(DEAD).await.unwrap().ready, 0);
}

/// Without a key the worker relies on the broker's record of a death, which a producer can forge. That only makes its
/// own job a dead letter, after the call that every job gets.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_a_forged_history_costs_its_producer_a_dead_letter() {
    let stage = Stage::new().await;
    let failing = token(1);
    let is_failing = failing.clone();
    let endpoint = Endpoint::start(move |call| {
        if call.token == is_failing { Answer::status(429) } else { Answer::rejected() }
    })
    .await;
    let launch = stage.run(&endpoint).set("retry.hold", "100ms");
    let worker = launch.ready().await;
    let out_of_retry = |message: Message| message.header("x-first-death-queue", text(RETRY));
    stage.amqp.publish(INTERACTIVE, out_of_retry(forged(&token(0)))).await;
    let letters = stage.amqp.take(DEAD, 1).await;
    assert_eq!(letters[0].reason(), "rejected_after_ambiguity");

    stage.amqp.publish(INTERACTIVE, out_of_retry(forged(&failing))).await;
    // The job is given up while others are answered.
    let mut others = 1;
    let exhausted = loop {
        others += 1;
        stage.amqp.publish(INTERACTIVE, Message::job(&token(others))).await;
        let dead = worker.until_processed("dead_lettered", others).await;
        let series = r#"revocations_failed_total{lane="interactive",reason="exhausted"}"#;
        if dead.value(series) == 1 {
            break stage.amqp.take_all(DEAD).await;
        }
    };
    let letter = exhausted.iter().find(|letter| letter.token() == failing).expect("it is dead");
    assert_eq!(letter.reason(), "exhausted");
    assert!(
        exhausted
            .iter()
            .filter(|letter| letter.token() != failing)
            .all(|letter| letter.reason() == "rejected")
    );
    worker.stop().await;
}

/// Headers of this many bytes in all, in many entries.
fn heavy(token: &str, bytes: usize) -> Message {
    const EACH: usize = 1_000;
    let value = "h".repeat(EACH - 20);
    (0..bytes / EACH).fold(Message::job(token).header("tenant", text("eu")), |message, n| {
        message.header(&format!("heavy-{n:05}"), text(&value))
    })
}

/// Dead-letters one heavy message, and parks another one that comes back.
async fn heavy_headers_are_left_out(stage: &Stage, bytes: usize) {
    let endpoint = Endpoint::start(|call| match (call.token == token(1), call.nth) {
        (true, _) => Answer::rejected(),
        (false, 1..4) => Answer::status(429),
        (false, _) => Answer::revoked(),
    })
    .await;
    let worker = stage.run(&endpoint).set("retry.hold", "60ms").ready().await;
    stage.amqp.publish(INTERACTIVE, heavy(&token(1), bytes)).await;
    let letters = stage.amqp.take(DEAD, 1).await;
    assert_eq!(letters[0].reason(), "rejected");
    assert_eq!(letters[0].flag("x-revoker-headers-dropped"), Some(true));
    let kept: usize = letters[0]
        .header_names()
        .iter()
        .filter(|name| name.starts_with("heavy-"))
        .map(|name| name.len() + letters[0].text(name).unwrap().len())
        .sum();
    assert!(kept <= 16 * 1024, "{kept} bytes of foreign headers were kept");

    stage.amqp.publish(INTERACTIVE, heavy(&token(2), bytes)).await;
    let metrics = worker.until_processed("revoked", 1).await;
    assert!(metrics.publishes("retry", "confirmed") >= 1, "it was never parked");
    assert_eq!(metrics.sessions("connection_lost"), 0, "the headers broke a connection");
    stage.host.until_acked(&[INTERACTIVE]).await;
    worker.stop().await;
    assert_eq!(stage.amqp.after_consumers(INTERACTIVE).await, 0);
}

/// Headers that fill the frame: with ours added they would not fit, and the broker would close the
/// connection.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_fill_the_frame_are_left_out() {
    heavy_headers_are_left_out(&Stage::new().await, 129_000).await;
}

/// 200 KB of headers, which a broker with larger frames lets through.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_kilobytes_of_headers_are_left_out() {
    let broker = OwnBroker::start("frame_max = 1048576\n", None).await;
    heavy_headers_are_left_out(&Stage::own(&broker).await, 200_000).await;
}
