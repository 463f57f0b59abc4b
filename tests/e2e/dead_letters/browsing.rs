//! Tests of `list` and `show`: they print dead letters, and change nothing.

use std::collections::BTreeMap;

use lapin::types::AMQPValue;

use super::{dead, json, shown, tokens};
use crate::harness::{
    DEAD, INTERACTIVE, Launch, Message, Stage,
    amqp::quorum,
    canary,
    message::text,
    relay::{Relay, Stall},
    stored_message::COUNTED_BY_THE_BROKER,
    token,
};

/// The list has the counts, a row for each message, and filters. Afterwards every message is in its place, with its
/// body, properties and headers.
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_and_stay_as_they_were() {
    let stage = Stage::new().await;
    let client = serde_json::json!({ "refresh_token": token(3), "client_id": "shop" });
    let of_a_client = dead(3, "rejected").with_body(client.to_string());
    let letters = [
        dead(0, "exhausted").dead_for(7_500),
        dead(1, "rejected").header("x-revoker-code", text("01")),
        dead(2, "exhausted").dead_for(1_000_000),
        of_a_client,
        dead(4, "quarantined"),
    ];
    stage.publish_dead(letters.clone()).await;

    let (list, status) = stage.dead_letters("list").run().await;
    assert_eq!(status.code(), Some(0), "{}", list.stderr());
    let page = list.stdout();
    let lines: Vec<&str> = page.lines().collect();
    assert_eq!(lines[0], "revocations.dead: 5 dead letters", "{page}");
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["rejected", "2"]);
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["exhausted", "2"]);
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["other", "1"]);
    assert!(lines[5].starts_with("AGE "), "{page}");
    // The minutes may change while the list is made.
    let age: Vec<&str> = lines[6].split_whitespace().take(2).collect();
    let minutes: u32 = age[1].strip_suffix('m').and_then(|minutes| minutes.parse().ok()).unwrap();
    assert!(age[0] == "2h" && (5..10).contains(&minutes), "{page}");
    assert!(lines[6].contains(" exhausted "), "{page}");
    let row: Vec<&str> =
        lines[7].split_whitespace().skip_while(|word| *word != "rejected").collect();
    assert_eq!(row[..3], ["rejected", "01", "bulk"], "{page}");
    assert_eq!(row[4..], ["job-1", "detail", "of", "1"], "{page}");
    assert!(lines[8].starts_with("11d "), "{page}");
    assert!(lines[10].ends_with("quarantined: detail of 4"), "{page}");
    assert_eq!(lines.len(), 11, "{page}");

    let all = ["job-0", "job-1", "job-2", "job-3", "job-4"];
    let cases: [(&str, &[usize]); 9] = [
        ("--reason exhausted", &[0, 2]),
        ("--reason exhausted --reason other", &[0, 2, 4]),
        ("--lane interactive", &[0, 2, 4]),
        ("--client-id shop", &[3]),
        ("--since 3h", &[0, 1, 3, 4]),
        ("--until 1h", &[0, 2]),
        ("--since 3h --until 1h --reason exhausted", &[0]),
        ("--id job-4", &[4]),
        ("--reason broker_dropped", &[]),
    ];
    for (options, expected) in cases {
        let launch = options.split(' ').fold(stage.dead_letters("list"), Launch::arg);
        let (list, status) = launch.arg("--json").run().await;
        assert_eq!(status.code(), Some(0), "{}", list.stderr());
        let listing = json(&list);
        let expected: Vec<&str> = expected.iter().map(|n| all[*n]).collect();
        assert_eq!(shown(&listing), expected, "{options}");
        assert_eq!(listing["looked_at"], 5, "{options}");
        assert_eq!(listing["matching"], expected.len(), "{options}");
    }
    let (list, _) = stage.dead_letters("list").arg("--json").arg("--limit").arg(2).run().await;
    assert_eq!(shown(&json(&list)), all[..2]);
    assert_eq!(json(&list)["reasons"]["rejected"], 2, "all are counted");

    let found = stage.amqp.take(DEAD, 5).await;
    for (found, letter) in found.iter().zip(&letters) {
        assert_eq!(found.body, letter.body);
        let headers = found.properties.headers().clone().unwrap();
        let mut headers: BTreeMap<_, _> = headers.inner().clone();
        let counts = COUNTED_BY_THE_BROKER.map(|name| headers.remove(name));
        let counted = counts.into_iter().flatten().collect::<Vec<_>>();
        assert!(!counted.is_empty(), "the broker counts nothing");
        for count in counted {
            assert_eq!(count, AMQPValue::LongLongInt(11), "it was browsed eleven times");
        }
        assert_eq!(found.properties.clone().with_headers(headers.into()), letter.properties());
    }
}

/// A message that the broker dead-lettered because of its expiration is listed as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_broker_dropped_is_listed_with_its_reason() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let expiring = Message::job(&token(1)).id("late").with(|job| job.with_expiration("1".into()));
    stage.amqp.publish(INTERACTIVE, expiring).await;
    stage.amqp.until_ready(DEAD, 1).await;

    let (list, _) = stage.dead_letters("list").arg("--json").run().await;
    let listing = json(&list);
    assert_eq!(listing["reasons"]["broker_dropped"], 1);
    let letter = &listing["letters"][0];
    assert_eq!((&letter["id"], &letter["lane"]), (&"late".into(), &"interactive".into()));
    assert_eq!(letter["detail"], "the broker moved it here out of revocations: expired");
    assert!(letter["dead_at"].is_string() && letter["attempts"].is_null(), "{letter}");

    let (show, status) = stage.dead_letters("show").arg("late").run().await;
    assert_eq!(status.code(), Some(0), "{}", show.stderr());
    assert!(show.stdout().contains("expired in revocations, 1 time(s)"), "{}", show.stdout());
}

/// `show` finds a message by its job id or fingerprint, and prints everything except its secrets.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_whole_but_for_its_secrets() {
    let stage = Stage::new().await;
    let body = serde_json::json!({
        "refresh_token": token(1),
        "username": "commerce@email.com",
        "client_secret": canary::SECRET,
        "note": canary::SECRET,
    });
    let letter = dead(1, "rejected_after_ambiguity")
        .with_body(body.to_string())
        .with(|properties| {
            properties.with_correlation_id(token(1).into()).with_app_id("shop".into())
        })
        .header("authorization", text(canary::SECRET))
        .header("x-revoker-replays", AMQPValue::LongInt(2));
    stage.publish_dead([dead(0, "exhausted"), letter]).await;
    let (list, _) = stage.dead_letters("list").arg("--id").arg("job-1").arg("--json").run().await;
    let fingerprint = json(&list)["letters"][0]["fingerprint"].as_str().unwrap().to_owned();

    let (show, status) = stage.dead_letters("show").arg(&fingerprint).run().await;
    assert_eq!(status.code(), Some(0), "{}", show.stderr());
    let page = show.stdout();
    for line in [
        "job-1".to_owned(),
        "  reason                  rejected_after_ambiguity".to_owned(),
        "  detail                  detail of 1".to_owned(),
        format!("  fingerprint             {fingerprint}"),
        "  lane                    bulk".to_owned(),
        "  attempts                3".to_owned(),
        "  last error              timeout".to_owned(),
        "  may be revoked already  yes: an attempt ended without an answer".to_owned(),
        "  replays                 2".to_owned(),
        "  other fields            1, not shown".to_owned(),
        "  app_id                  shop".to_owned(),
        "  producer's headers      authorization, tenant".to_owned(),
    ] {
        assert!(page.lines().any(|shown| shown == line), "no line {line:?} in\n{page}");
    }
    assert!(page.contains(&format!("\"refresh_token\":\"[{fingerprint}]\"")), "{page}");
    assert!(page.contains("commerce@email.com"), "{page}");
    assert!(!page.contains("job-0"), "{page}");

    let (show, _) = stage.dead_letters("show").arg("job-1").arg("--json").run().await;
    let letters = json(&show);
    assert_eq!(letters[0]["job"]["client_secret"], "[redacted]");
    assert_eq!(letters[0]["properties"]["app_id"], "shop");
    let (show, status) = stage.dead_letters("show").arg("nobody").run().await;
    assert_eq!(status.code(), Some(1));
    assert!(show.stderr().contains("none of the 2 dead letters"), "{}", show.stderr());
    stage.amqp.until_ready(DEAD, 2).await;
}

/// A producer can publish anything to the queue. No text of it controls a terminal, and no token is printed: the
/// harness searches every output, here at log level trace.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_letters_are_shown_harmlessly() {
    let stage = Stage::new().await;
    let escape = "\u{1b}]0;gone\u{7}\u{1b}[2J\r\n";
    let forged = dead(1, "rejected")
        .id(&token(1))
        .with(|properties| properties.with_app_id(token(1).into()))
        .header("x-revoker-detail", text(&format!("{escape}{}", token(1))))
        .header("x-revoker-reason", text(escape))
        .header("x-revoker-code", text(&token(1)))
        .header("x-revoker-last-error", text(escape))
        .header("x-revoker-dead-at", AMQPValue::Timestamp(u64::MAX))
        .header("x-revoker-attempts", AMQPValue::LongLongInt(i64::MIN))
        .header(&token(1), text("as a name"))
        .header("x-death", AMQPValue::FieldArray(vec![text(escape), AMQPValue::Void].into()));
    let bare = Message::new(token(2)).id(&token(2));
    let cut = Message::new(format!("{{\"refresh_token\":\"{}", &token(3)[..12])).id(&token(3));
    let large = Message::new("x".repeat(70_000)).id("large");
    let empty = Message::new("");
    stage.publish_dead([forged, bare, cut, large, empty]).await;

    let launch = stage.dead_letters("list").set("log.level", "trace");
    let (list, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", list.stderr());
    let page = list.stdout();
    assert!(
        !page.contains('\u{1b}') && !page.contains('\u{7}') && !page.contains('\r'),
        "{page:?}"
    );
    assert_eq!(page.lines().count(), 5 + 5, "a line each: {page}");
    let (list, _) = stage.dead_letters("list").arg("--json").run().await;
    let listing = json(&list);
    for letter in listing["letters"].as_array().unwrap() {
        let id = letter["id"].as_str().unwrap();
        let (show, status) =
            stage.dead_letters("show").arg(id).set("log.level", "trace").run().await;
        assert_eq!(status.code(), Some(0), "{id}: {}", show.stderr());
        assert!(!show.stdout().contains('\u{1b}'), "{}", show.stdout());
    }
    assert_eq!(stage.amqp.take(DEAD, 5).await.len(), 5);
}

/// A missing queue is an error; an empty one is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_queue_is_an_error_and_an_empty_one_is_not() {
    let stage = Stage::new().await;
    let (list, status) = stage.dead_letters("list").run().await;
    assert_eq!(status.code(), Some(1));
    let said = list.stderr();
    assert!(
        said.contains("revocations.dead does not exist") && said.contains("broker.queue"),
        "{said}"
    );
    assert_eq!(list.stdout(), "");
    stage.amqp.declare_family().await;
    let (list, status) = stage.dead_letters("list").run().await;
    assert_eq!(status.code(), Some(0), "{}", list.stderr());
    assert_eq!(list.stdout(), "revocations.dead: 0 dead letters\n");
    let (list, status) =
        stage.dead_letters("list").set("broker.url", "amqp://127.0.0.1:1").run().await;
    assert_eq!(status.code(), Some(1));
    assert!(list.stderr().contains("127.0.0.1:1"), "{}", list.stderr());
}

/// While one command holds the messages, a second one sees none, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_command_says_that_another_holds_letters() {
    let stage = Stage::new().await;
    stage.publish_dead((0..500).map(|n| dead(n, "exhausted"))).await;
    let stall = Stall { to_target: None, from_target: Some(50_000) };
    let relay = Relay::open_until(stage.broker_address(), stall).await;
    let first = stage.dead_letters("list").set("broker.url", stage.url_by(&relay)).start();
    relay.stalled().await;
    stage.amqp.until_depth(DEAD, "be held", |depth| depth.ready == 0 && depth.consumers > 0).await;

    let (second, status) = stage.dead_letters("list").arg("--json").run().await;
    assert_eq!(status.code(), Some(0), "{}", second.stderr());
    let listing = json(&second);
    assert_eq!(listing["looked_at"], 0);
    assert!(listing["other_consumers"].as_u64().unwrap() >= 1, "{listing}");
    let (second, _) = stage.dead_letters("list").run().await;
    let page = second.stdout();
    assert!(
        page.contains("0 dead letters") && page.contains("1 other consumer of the queue"),
        "{page}"
    );
    first.kill().await;
    let letters = stage.amqp.take(DEAD, 500).await;
    assert_eq!(tokens(&letters), (0..500).map(token).collect::<Vec<_>>());
}

/// Ready messages that only another consumer can receive are counted.
#[tokio::test(flavor = "multi_thread")]
async fn letters_for_another_consumer_are_counted() {
    let stage = Stage::new().await;
    let mut exclusive = quorum();
    exclusive.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    stage.amqp.declare(DEAD, exclusive).await;
    stage.amqp.publish_all(DEAD, (0..3).map(|n| dead(n, "exhausted"))).await;
    let holding = stage.amqp.hold_one(DEAD).await;
    stage.amqp.until_ready(DEAD, 2).await;

    let (list, status) = stage.dead_letters("list").set("broker.declare", false).run().await;
    assert_eq!(status.code(), Some(0), "{}", list.stderr());
    let page = list.stdout();
    assert!(page.contains("2 dead letters held by another consumer"), "{page}");
    drop(holding);
}
