//! `revoker report`: from a file of outcome events, and from their queue.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use revoker::domain::parse_rfc3339;
use serde_json::{Value, json};

use super::{count, mostly_willing, printed};
use crate::{
    harness::{
        AnswerKind, Launch, Message, OUTCOMES, Stage, amqp::quorum, canary, canary::assert_clean,
        fingerprint, swept::text, token,
    },
    outcomes,
};

fn event(job: &str, outcome: &str, minute: u32) -> Value {
    let time = format!("2026-03-01T12:{minute:02}:00Z");
    json!({
        "specversion": "1.0", "id": format!("{job}-{outcome}"), "source": "revoker/revocations",
        "type": "revoker.job.settled.v1", "time": time, "datacontenttype": "application/json",
        "data": {
            "job_id": job, "fingerprint": "ba7816bf8f01", "lane": "bulk", "outcome": outcome,
            "attempts": 1, "settled_at": time, "profile": "alignet", "endpoint": "https://auth.example",
        },
    })
}

fn dead(job: &str, reason: &str, minute: u32) -> Value {
    let mut event = event(job, "dead_lettered", minute);
    event["data"]["reason"] = reason.into();
    event
}

/// Two jobs are revoked, one of them after a replay; one stays rejected; one event comes twice.
fn events() -> Vec<Value> {
    vec![
        event("a", "revoked", 1),
        event("a", "revoked", 1),
        dead("b", "unknown_client", 2),
        dead("c", "rejected", 3),
        event("b", "revoked", 9),
    ]
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect::<Vec<_>>().concat()
}

fn report() -> Launch {
    Launch::bare("report").set("log.format", "json")
}

fn assert_counts(report: &Value) {
    assert_eq!(count(&report["jobs"]["revoked"]), 2);
    assert_eq!(count(&report["jobs"]["rejected"]), 1);
    assert_eq!(count(&report["proof"]["said"]), 2);
    assert_eq!(count(&report["proof"]["none"]), 1);
    assert_eq!(report["not_proved"][0]["what"], "rejected");
    assert_eq!(count(&report["events"]["counted"]), 5);
    assert_eq!(report["endpoints"], json!(["https://auth.example"]));
}

/// Repeats count once, a proof or the latest outcome counts, and the span is kept. Text, JSON and page agree.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_events_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (file, page) = (folder.path().join("events.ndjson"), folder.path().join("report.html"));
    fs::write(&file, lines(&events())).unwrap();
    let launch = report().arg("--events").arg(file.display()).arg("--report").arg(page.display());
    let (run, status) = launch.clone().arg("--json").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_counts(&printed(&run)[0]);
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let sentence = "3 jobs ended. Proved dead: 2. Not proved: 1.";
    assert!(run.stdout().contains(sentence), "{}", run.stdout());
    assert!(fs::read_to_string(&page).unwrap().contains(sentence));

    let since = report().arg("--events").arg("-").arg("--json").input(lines(&events()));
    let (run, status) = since.arg("--since").arg("2026-03-01T12:03:00Z").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let told = &printed(&run)[0];
    assert_eq!((count(&told["jobs"]["revoked"]), count(&told["jobs"]["rejected"])), (1, 1));
    assert_eq!(count(&told["events"]["outside"]), 3);

    let (run, status) = report().arg("--events").arg("-").input("no event\n").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert!(run.stdout().contains("Texts that are no outcome events"), "{}", run.stdout());
    for wrong in [vec!["--since", "2h"], vec!["--events", "/nowhere"], vec!["--since", "soon"]] {
        let launch = wrong.iter().fold(report(), Launch::arg);
        assert_eq!(launch.run().await.1.code(), Some(2), "{wrong:?}");
    }
    let onto = report().arg("--events").arg(file.display()).arg("--report").arg(file.display());
    assert_eq!(onto.run().await.1.code(), Some(2), "it would overwrite the events");
    assert_eq!(fs::read_to_string(&file).unwrap(), lines(&events()));
}

/// The queue is browsed: every event stays, in order.
#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_events_is_reported_and_left_as_it_was() {
    let stage = Stage::new().await;
    stage.amqp.declare(OUTCOMES, quorum()).await;
    let published = events();
    let messages = published.iter().map(|event| Message::new(event.to_string()));
    stage.amqp.publish_all(OUTCOMES, messages).await;
    for _ in 0..2 {
        let launch = stage.launch("report").arg("--queue").arg(OUTCOMES).arg("--json");
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(0), "{}", run.stderr());
        assert_counts(&printed(&run)[0]);
    }
    let left = stage.amqp.take(OUTCOMES, 5).await;
    let bodies: Vec<Value> =
        left.iter().map(|message| serde_json::from_slice(&message.body).unwrap()).collect();
    assert_eq!(bodies, published);

    let launch = stage.launch("report").arg("--queue").arg("nowhere");
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    assert!(run.stderr().contains("queue nowhere does not exist"), "{}", run.stderr());
}

/// Ten tokens of the queue, after their file is deleted: the events give each one's end and time. The report's totals
/// agree with the ledger of the endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_and_the_time_of_ten_tokens_of_the_queue_are_told_by_their_events() {
    const JOBS: usize = 40;
    let stage = Stage::new().await;
    let endpoint = mostly_willing().await;
    let began = SystemTime::now();
    let worker = stage.run(&endpoint).set("outcomes.queue", OUTCOMES).ready().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.txt");
    fs::write(&file, text(0..JOBS)).unwrap();
    let (run, status) = stage.enqueue().arg(file.display()).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    fs::remove_file(&file).unwrap();
    stage.amqp.until_ready(OUTCOMES, u32::try_from(JOBS).unwrap()).await;
    worker.stop().await;
    let ended = SystemTime::now();

    let launch = stage.launch("report").arg("--queue").arg(OUTCOMES).arg("--json");
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let report = &printed(&run)[0];
    let [revoked, rejected] =
        [AnswerKind::Revoked, AnswerKind::Rejected].map(|kind| endpoint.told(kind));
    assert_eq!((revoked.len(), rejected.len()), (JOBS - 4, 4));
    assert_eq!(count(&report["jobs"]["revoked"]), revoked.len());
    assert_eq!(count(&report["proof"]["said"]), revoked.len());
    assert_eq!(count(&report["jobs"]["rejected"]), rejected.len());
    assert_eq!(count(&report["proof"]["none"]), rejected.len());

    let events: Vec<Value> =
        stage.amqp.take_all(OUTCOMES).await.iter().map(outcomes::event).collect();
    for n in 11..=20 {
        let token = token(n);
        let named = fingerprint(&token);
        let mut of_token = events.iter().filter(|event| event["data"]["fingerprint"] == *named);
        let (event, None) = (of_token.next().expect("an event"), of_token.next()) else {
            panic!("token {n} has two events")
        };
        let data = &event["data"];
        if revoked.contains(&token) {
            assert_eq!((&data["outcome"], &data["proof"]), (&"revoked".into(), &"said".into()));
        } else {
            assert_eq!(data["reason"], "rejected");
            assert_eq!(
                (&data["outcome"], &data["proof"]),
                (&"dead_lettered".into(), &"none".into())
            );
        }
        assert_eq!(event["time"], data["settled_at"]);
        let at = parse_rfc3339(event["time"].as_str().unwrap()).expect("a time");
        // The event has whole milliseconds.
        let began = began - Duration::from_millis(1);
        assert!((began..=ended).contains(&at), "token {n} ended at {}", event["time"]);
    }
}

/// Events may come from anybody. No text of theirs that could hold a token is in a report.
#[tokio::test(flavor = "multi_thread")]
async fn no_canary_of_a_foreign_event_shows_in_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let mut forged = event(&token(1), "revoked", 1);
    forged["id"] = token(1).into();
    forged["source"] = token(1).into();
    for field in ["lane", "profile", "client_id", "detail", "code", "trace_id", "fingerprint"] {
        forged["data"][field] = token(1).into();
    }
    let (user, path) = (canary::PASSWORD.replace('/', "%2F"), token(1));
    forged["data"]["endpoint"] = format!("https://{user}@auth.example/{path}?t={path}").into();
    let others = [
        json!({ "type": token(2), "id": token(2) }),
        json!({ "message": token(3), "outcome": token(3), "settled_at": token(3) }),
        json!({ "type": "revoker.job.settled.v1", "id": "x", "data": { "outcome": token(4) } }),
    ];
    let text = format!("{forged}\n{}{}\n", lines(&others), token(5));
    let files = ["report.html", "report.json"].map(|name| folder.path().join(name));
    let launch = report().set("log.level", "trace").arg("--events").arg("-").input(text);
    let launch =
        files.iter().fold(launch, |launch, file| launch.arg("--report").arg(file.display()));
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert!(run.stdout().contains("1 job ended"), "{}", run.stdout());
    for file in files {
        assert_clean(&file.display().to_string(), &fs::read(&file).unwrap());
    }
}
