//! `replay`: messages return to their lanes as fresh jobs.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use lapin::types::AMQPValue;

use super::{dead, json, tokens};
use crate::harness::{
    Answer, AnswerKind, BULK, DEAD, Endpoint, INTERACTIVE, Message, Stage, StoredMessage,
    eventually,
    message::{text, texts},
    stored_message::COUNTED_BY_THE_BROKER,
    token,
};

/// The endpoint rejects every job until it is repaired. Rejected jobs are left out without `--include-rejected`. With
/// it, each is called once more and revoked.
#[tokio::test(flavor = "multi_thread")]
async fn rejected_jobs_are_replayed_on_request_and_revoked() {
    const JOBS: usize = 20;
    let stage = Stage::new().await;
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let endpoint = Endpoint::start(move |_| {
        if is_mended.load(Ordering::SeqCst) { Answer::revoked() } else { Answer::rejected() }
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;
    for (n, queue) in (0..JOBS).zip([INTERACTIVE, BULK].into_iter().cycle()) {
        stage.amqp.publish(queue, Message::job(&token(n)).id(&format!("job-{n}"))).await;
    }
    stage.amqp.until_ready(DEAD, u32::try_from(JOBS).unwrap()).await;
    worker.until_processed("dead_lettered", JOBS).await;

    let (replay, status) = stage.dead_letters("replay").run().await;
    assert_eq!(status.code(), Some(3), "{}", replay.stderr());
    let said = replay.stdout();
    assert!(
        said.starts_with("0 dead letters") && said.contains("replays them too): 20\n"),
        "{said}"
    );
    assert!(said.contains("--include-rejected"), "{said}");
    let (replay, status) = stage.dead_letters("replay").arg("--reason").arg("rejected").run().await;
    assert_eq!(status.code(), Some(2));
    assert!(replay.stderr().contains("--include-rejected"), "{}", replay.stderr());
    stage.amqp.until_ready(DEAD, u32::try_from(JOBS).unwrap()).await;
    assert_eq!(endpoint.count(), JOBS, "something was replayed");

    mended.store(true, Ordering::SeqCst);
    let (replay, status) =
        stage.dead_letters("replay").arg("--include-rejected").arg("--json").run().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    let summary = json(&replay);
    assert_eq!((&summary["selected"], &summary["replayed"]), (&JOBS.into(), &JOBS.into()));
    assert_eq!((&summary["interactive"], &summary["bulk"]), (&10.into(), &10.into()));
    assert_eq!((&summary["left"], &summary["rejected_left_out"]), (&0.into(), &0.into()));
    let metrics = worker.until_processed("revoked", JOBS).await;
    assert_eq!((metrics.processed("revoked"), metrics.processed("dead_lettered")), (JOBS, JOBS));
    stage.host.until_acked(&[INTERACTIVE, BULK]).await;
    worker.stop().await;
    assert_eq!(endpoint.count(), 2 * JOBS);
    assert_eq!(endpoint.told(AnswerKind::Revoked), (0..JOBS).map(token).collect());
    stage.amqp.until_ready(DEAD, 0).await;
    for queue in [INTERACTIVE, BULK] {
        assert_eq!(stage.amqp.after_consumers(queue).await, 0, "{queue}");
    }
}

/// A call whose answer was lost may have revoked the token. Its rejection is left out like any other. If it is replayed,
/// with or without a history key, the next rejection again says that the token may be revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_ambiguity_stays_an_ambiguity() {
    for keyed in [false, true] {
        let stage = Stage::new().await;
        let endpoint = Endpoint::start(|call| match call.nth {
            1 => Answer::Reset,
            _ => Answer::rejected(),
        })
        .await;
        let launch = stage.run(&endpoint);
        let worker = if keyed { launch.with_history_key() } else { launch }.ready().await;
        stage.amqp.publish(INTERACTIVE, Message::job(&token(1)).id("job-1")).await;
        worker.until_processed("dead_lettered", 1).await;
        stage.amqp.until_ready(DEAD, 1).await;

        let (replay, status) = stage.dead_letters("replay").arg("--json").run().await;
        assert_eq!(status.code(), Some(3), "{}", replay.stderr());
        let summary = json(&replay);
        assert_eq!((&summary["selected"], &summary["rejected_left_out"]), (&0.into(), &1.into()));
        let named = stage.dead_letters("replay").arg("--reason").arg("rejected_after_ambiguity");
        let (replay, status) = named.clone().run().await;
        assert_eq!(status.code(), Some(2));
        assert!(replay.stderr().contains("--include-rejected"), "{}", replay.stderr());
        assert_eq!(endpoint.count(), 2, "it was replayed");

        // Another lane makes no difference.
        let (replay, status) =
            named.arg("--include-rejected").arg("--to-lane").arg("bulk").run().await;
        assert_eq!(status.code(), Some(0), "{}", replay.stderr());
        worker.until_processed("dead_lettered", 2).await;
        let letter = stage.amqp.take(DEAD, 1).await.remove(0);
        assert_eq!(endpoint.count(), 3);
        assert_eq!(letter.reason(), "rejected_after_ambiguity", "keyed: {keyed}");
        assert_eq!(letter.text("x-revoker-ambiguity").as_deref(), Some("attempt"));
        assert_eq!(letter.int("x-revoker-attempts"), Some(1), "its attempts began afresh");
        assert_eq!(letter.int("x-revoker-replays"), Some(1));
        assert_eq!(letter.text("x-revoker-mac").is_some(), keyed);
        worker.stop().await;
    }
}

/// A job that dies again during the replay is not replayed again, and its dead letter counts the replay.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_dies_again_is_not_replayed_again() {
    const JOBS: usize = 30;
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.publish_all(BULK, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    for time in 1..=2 {
        worker.until_processed("dead_lettered", JOBS * time).await;
        stage.amqp.until_ready(DEAD, u32::try_from(JOBS).unwrap()).await;
        let launch = stage.dead_letters("replay").arg("--include-rejected").arg("--rate").arg(40);
        let (replay, status) = launch.arg("--json").run().await;
        assert_eq!(status.code(), Some(0), "{}", replay.stderr());
        assert_eq!(json(&replay)["replayed"], JOBS);
        endpoint.until_count(JOBS * (time + 1)).await;
        worker.until_processed("dead_lettered", JOBS * (time + 1)).await;
    }
    worker.stop().await;
    assert_eq!(endpoint.count(), JOBS * 3, "a letter was replayed more than once in a go");
    let letters = stage.amqp.take(DEAD, u32::try_from(JOBS).unwrap()).await;
    for letter in &letters {
        assert_eq!(letter.int("x-revoker-replays"), Some(2));
        assert_eq!(letter.int("x-revoker-attempts"), Some(1), "its attempts began afresh");
        assert_eq!(letter.reason(), "rejected");
    }
}

/// The names of a message's headers, without the broker's counts of deliveries.
fn names(letter: &StoredMessage) -> Vec<String> {
    let mut names = letter.header_names();
    names.retain(|name| !COUNTED_BY_THE_BROKER.contains(&name.as_str()));
    names
}

/// A replayed job is the one that died, without harmful headers and without those of its death.
#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_job_is_a_fresh_one() {
    let stage = Stage::new().await;
    let letter = dead(1, "exhausted")
        .with(|properties| {
            properties
                .with_correlation_id("c-1".into())
                .with_timestamp(1_700_000_000)
                .with_expiration("86400000".into())
                .with_reply_to("somewhere".into())
        })
        .header("CC", texts(&[INTERACTIVE]))
        .header("x-death", AMQPValue::FieldArray(Vec::new().into()))
        .header("x-revoker-replays", AMQPValue::LongInt(4));
    stage.publish_dead([letter.clone()]).await;
    // The broker obeyed CC when the test published the message.
    assert_eq!(stage.amqp.take(INTERACTIVE, 1).await.len(), 1);
    let (replay, status) = stage.dead_letters("replay").run().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());

    let back = stage.amqp.take(BULK, 1).await.remove(0);
    assert_eq!(back.body, letter.body);
    // An earlier call may have revoked the token: a later rejection must not count as that of an unknown token.
    assert_eq!(
        names(&back),
        ["tenant", "x-revoker-ambiguity", "x-revoker-ambiguous", "x-revoker-replays"]
    );
    assert_eq!(back.text("x-revoker-ambiguity").as_deref(), Some("attempt"));
    assert_eq!(back.int("x-revoker-replays"), Some(5));
    let kept = &back.properties;
    assert_eq!(kept.message_id().as_ref().unwrap().as_str(), "job-1");
    assert_eq!(kept.correlation_id().as_ref().unwrap().as_str(), "c-1");
    assert_eq!((kept.timestamp(), kept.delivery_mode()), (&Some(1_700_000_000), &Some(2)));
    assert_eq!((kept.expiration(), kept.reply_to()), (&None, &None));
    assert_eq!(stage.amqp.take_all(INTERACTIVE).await.len(), 0, "CC was obeyed");
    stage.amqp.until_ready(DEAD, 0).await;
}

/// A message that the broker dropped returns to the lane where it expired, without its expiration.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_broker_dropped_is_replayed() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let expiring = Message::job(&token(1)).with(|job| job.with_expiration("1".into()));
    stage.amqp.publish(INTERACTIVE, expiring).await;
    stage.amqp.until_ready(DEAD, 1).await;
    let (replay, status) = stage.dead_letters("replay").run().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    let back = stage.amqp.take(INTERACTIVE, 1).await.remove(0);
    assert_eq!(back.token(), token(1));
    assert_eq!(names(&back), ["x-revoker-replays"]);
    assert_eq!(back.properties.expiration(), &None);
    stage.amqp.until_ready(DEAD, 0).await;
}

/// The filters of the list work, `--to-lane` selects the lane, and a dry run changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn only_matching_letters_are_replayed() {
    let stage = Stage::new().await;
    let reasons =
        ["exhausted", "unknown_client", "exhausted", "invalid_job", "exhausted", "exhausted"];
    stage.publish_dead(reasons.into_iter().enumerate().map(|(n, reason)| dead(n, reason))).await;
    let launch = stage
        .dead_letters("replay")
        .arg("--reason")
        .arg("exhausted")
        .arg("--lane")
        .arg("interactive")
        .arg("--limit")
        .arg(2)
        .arg("--to-lane")
        .arg("bulk");
    let (replay, status) = launch.clone().arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    assert!(replay.stdout().starts_with("2 dead letters of revocations.dead would be replayed\n"));
    stage.amqp.until_ready(DEAD, 6).await;
    assert_eq!(stage.amqp.take_all(BULK).await.len(), 0, "a dry run replayed");

    let (replay, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", replay.stderr());
    assert!(
        replay.stdout().contains("0 into interactive, 2 into bulk; 0 left"),
        "{}",
        replay.stdout()
    );
    assert_eq!(tokens(&stage.amqp.take(BULK, 2).await), [token(0), token(2)]);
    let left: Vec<_> = [1, 3, 4, 5].map(token).into();
    assert_eq!(tokens(&stage.amqp.take(DEAD, 4).await), left);
}

/// A lane refuses messages: the messages stay dead letters, and the command says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_refuses_messages_loses_none() {
    const LETTERS: usize = 5;
    let stage = Stage::new().await;
    stage.publish_dead((0..LETTERS).map(|n| dead(n, "exhausted"))).await;
    let limit = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    let policy = ["set_policy", "-p", stage.host.name(), "full", r"^revocations\.bulk$", limit];
    stage.host.node().ctl(&policy).await;
    eventually("the limit to hold", async || {
        let taken = stage.amqp.offer(BULK, &Message::new("filler")).await;
        if taken { Err("a filler that was taken".to_owned()) } else { Ok(()) }
    })
    .await;
    let (replay, status) = stage.dead_letters("replay").arg("--to-lane").arg("bulk").run().await;
    assert_eq!(status.code(), Some(1), "{}", replay.stdout());
    assert!(
        replay.stderr().contains("queue revocations.bulk: it refuses messages"),
        "{}",
        replay.stderr()
    );
    stage.amqp.after_consumers(DEAD).await;
    let left = tokens(&stage.amqp.take_all(DEAD).await);
    let lane = stage.amqp.take_all(BULK).await;
    let back: Vec<_> =
        lane.iter().map(StoredMessage::token).filter(|token| !token.is_empty()).collect();
    assert!(!left.is_empty(), "nothing was refused");
    let union: Vec<_> = back.iter().chain(&left).cloned().collect();
    assert_eq!(union, (0..LETTERS).map(token).collect::<Vec<_>>());
}

/// A queue with other arguments is a configuration error. A missing lane is reported.
#[tokio::test(flavor = "multi_thread")]
async fn queues_that_differ_are_refused() {
    let stage = Stage::new().await;
    stage.amqp.declare(DEAD, crate::harness::amqp::quorum()).await;
    stage.amqp.declare(BULK, crate::harness::amqp::quorum()).await;
    stage.amqp.publish(DEAD, dead(1, "exhausted").header("kept", text("yes"))).await;
    let (replay, status) = stage.dead_letters("replay").run().await;
    assert_eq!(status.code(), Some(2), "{}", replay.stderr());
    assert!(
        replay.stderr().contains("revocations.bulk exists with other arguments"),
        "{}",
        replay.stderr()
    );
    stage.amqp.delete(BULK).await;
    let (replay, status) = stage.dead_letters("replay").set("broker.declare", false).run().await;
    assert_eq!(status.code(), Some(1), "{}", replay.stderr());
    assert!(replay.stderr().contains("does not exist"), "{}", replay.stderr());
    stage.amqp.until_ready(DEAD, 1).await;
}
