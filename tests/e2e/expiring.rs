//! Tests of tokens that have expired according to their producer, and of invalid dates.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::{
    AnswerKind, DEAD, Endpoint, INTERACTIVE, Launch, Message, Stage, Swept, Worker, token,
};

/// How far clocks may differ, as docs/jobs.md states.
const ALLOWED_SKEW: Duration = Duration::from_secs(60);

/// A time longer than a test takes, and well within the allowed skew.
const MARGIN: Duration = Duration::from_secs(30);

/// Values of `expires_at` that are no valid time, each with a word of its error.
const NO_MOMENTS: [(&str, &str); 6] = [
    ("0", "is 0"),
    ("-1", "negative"),
    ("3600", "lifetime"),
    ("\"0001-01-01T00:00:00Z\"", "before the year 2000"),
    ("4000000000000", "milliseconds"),
    ("\"4000000000\"", "in quotes"),
];

fn unix(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn job(n: usize, expires_at: &Value) -> String {
    json!({ "refresh_token": token(n), "expires_at": expires_at }).to_string()
}

/// The summary of a command with `--json`.
fn summary(worker: &Worker) -> Value {
    serde_json::from_str(&worker.stdout()).unwrap_or_else(|error| {
        panic!("{error} in {:?}; standard error: {}", worker.stdout(), worker.stderr())
    })
}

/// A live token does not count as expired: the job becomes a dead letter that names the unit.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_expiry_is_a_dead_letter_that_names_the_unit() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    for (n, (expires_at, _)) in NO_MOMENTS.iter().enumerate() {
        let body = job(n, &serde_json::from_str(expires_at).unwrap());
        stage.amqp.publish(INTERACTIVE, Message::new(body).id(expires_at)).await;
    }
    let letters = stage.amqp.take(DEAD, u32::try_from(NO_MOMENTS.len()).unwrap()).await;
    for (n, (expires_at, words)) in NO_MOMENTS.into_iter().enumerate() {
        // Jobs are processed in parallel, so their dead letters come in any order.
        let letter = letters.iter().find(|letter| letter.token() == token(n)).unwrap();
        assert_eq!(letter.reason(), "invalid_job", "{expires_at}");
        let detail = letter.text("x-revoker-detail").unwrap();
        assert!(detail.starts_with("the field expires_at "), "{detail}");
        assert!(detail.contains(words), "{expires_at}: {detail}");
    }
    let metrics = worker.until_processed("dead_lettered", NO_MOMENTS.len()).await;
    assert_eq!(metrics.processed("expired"), 0);
    worker.stop().await;
    assert_eq!(endpoint.count(), 0);
}

/// The issuer's clock may be behind ours: within the allowed skew the token is called.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_called_for_until_it_has_expired_by_every_clock() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let now = SystemTime::now();
    let perhaps_alive = job(1, &json!(unix(now - ALLOWED_SKEW + MARGIN)));
    let dead = job(2, &json!(unix(now - ALLOWED_SKEW - MARGIN)));
    for body in [perhaps_alive, dead] {
        stage.amqp.publish(INTERACTIVE, Message::new(body)).await;
    }
    worker.until_processed("revoked", 1).await;
    worker.until_processed("expired", 1).await;
    worker.stop().await;
    assert_eq!(endpoint.told(AnswerKind::Revoked), [token(1)].into());
}

/// Lines whose dates are a year old are not called. The operator must notice that: a row of its own, a
/// sentence in the report, and a warning in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_of_expired_tokens_says_so_in_dry_run_report_and_log() {
    let endpoint = Endpoint::willing().await;
    let year_ago = unix(SystemTime::now() - Duration::from_secs(365 * 86_400));
    let of = |lines: &[String]| Swept::new("leak.ndjson", lines.join("\n"));
    let expired = |n| job(n, &json!(year_ago));
    let all = [expired(1), expired(2)];
    let some = [expired(1), job(2, &Value::Null), expired(3), expired(1), "no job".to_owned()];
    for (lines, counts, words) in [
        (&all[..], [0, 2], "every job has expired by its expires_at (2 of 2)"),
        (&some, [1, 2], "2 of 3 jobs have expired by their expires_at"),
    ] {
        let swept = of(lines);
        let (dry_run, _) = swept.launch(&endpoint).arg("--dry-run").run().await;
        let table = dry_run.stdout();
        let row = |name| table.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        assert!(row("expired, not to be called").ends_with(&format!(" {}", counts[1])), "{table}");
        assert!(row("to be called").ends_with(&format!(" {}", counts[0])), "{table}");
        assert!(
            table.contains(words) && dry_run.stderr().contains(words),
            "{table}{}",
            dry_run.stderr()
        );
        let (dry_run, _) = swept.launch(&endpoint).arg("--dry-run").arg("--json").run().await;
        assert_eq!(
            [&summary(&dry_run)["to_call"], &summary(&dry_run)["expired"]],
            counts.map(Value::from).each_ref()
        );
        assert!(dry_run.stderr().contains(words), "{}", dry_run.stderr());
        assert_eq!(endpoint.count(), 0);

        let (run, _) = swept.launch(&endpoint).run().await;
        assert!(run.stdout().contains(words) && run.stderr().contains(words), "{}", run.stdout());
        assert_eq!(swept.lines_with("expired").len(), counts[1]);
        assert_eq!(endpoint.count(), counts[0]);
        let (dry_run, _) = swept.launch(&endpoint).arg("--dry-run").run().await;
        let table = dry_run.stdout();
        let row = table.lines().find(|line| line.trim_start().starts_with("of these expired"));
        assert!(row.unwrap().ends_with(&format!(" {}", counts[1])), "{table}");
        assert!(
            table.contains(words) && dry_run.stderr().contains(words),
            "{table}{}",
            dry_run.stderr()
        );
        let (again, _) = swept.launch(&endpoint).arg("--json").run().await;
        assert_eq!(summary(&again)["lines"]["expired"], counts[1]);
        assert!(again.stderr().contains(words), "{}", again.stderr());
        assert_eq!(endpoint.count(), counts[0]);
    }
}

/// A file with wrong dates is corrected: with force, the expired lines are called, and revoked lines are not called
/// again. The same holds for a wrong date from the command line.
#[tokio::test(flavor = "multi_thread")]
async fn expired_lines_are_taken_up_when_the_dates_are_mended() {
    let endpoint = Endpoint::willing().await;
    let past = unix(SystemTime::now() - Duration::from_secs(365 * 86_400));
    let future = unix(SystemTime::now() + Duration::from_secs(365 * 86_400));
    let swept = Swept::new("leak.ndjson", job(1, &json!(past)) + "\n" + &job(2, &Value::Null));
    let (_, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(endpoint.told(AnswerKind::Revoked), [token(2)].into());
    swept.write(job(1, &json!(future)) + "\n" + &job(2, &Value::Null));
    let (run, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    let (run, status) = swept.launch(&endpoint).arg("--force").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.told(AnswerKind::Revoked), [token(1), token(2)].into());
    assert_eq!(endpoint.count(), 2);

    let swept = Swept::new("leak.txt", token(3) + "\n");
    let (_, status) = swept.launch(&endpoint).arg("--expires-at").arg(past).run().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(endpoint.count(), 2);
    let (run, status) = swept.launch(&endpoint).arg("--force").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.count(), 3);
}

/// The earlier version accepted 0, a lifetime or milliseconds as an expiry, and its journal marks live tokens as
/// expired. The current rules judge those lines again.
#[tokio::test(flavor = "multi_thread")]
async fn expired_lines_of_an_earlier_journal_are_judged_again() {
    let endpoint = Endpoint::willing().await;
    let year_ago = unix(SystemTime::now() - Duration::from_secs(365 * 86_400));
    let lines =
        [json!(0), json!(year_ago), Value::Null, Value::Null, json!("0001-01-01T00:00:00Z")];
    let lines: Vec<String> = lines.iter().zip(1..).map(|(at, n)| job(n, at)).collect();
    let swept = Swept::new("leak.ndjson", lines.join("\n"));
    let (_, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(3));
    assert_eq!(endpoint.count(), 2);
    // The format of that version. It never called the token of line 4.
    let former = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        match record["line"].as_u64() {
            Some(line @ (1 | 4 | 5)) => {
                let at = record["at"].take();
                json!({ "line": line, "outcome": "expired", "attempts": 0, "at": at }).to_string()
            }
            _ => line.replacen("{\"revoker_journal\":2,", "{\"revoker_journal\":1,", 1),
        }
    };
    let journal = std::fs::read_to_string(swept.journal()).unwrap();
    let journal: Vec<String> = journal.lines().map(former).collect();
    std::fs::write(swept.journal(), journal.join("\n") + "\n").unwrap();
    assert_eq!(swept.lines_with("expired"), [1, 2, 4, 5]);

    let (dry_run, _) = swept.launch(&endpoint).arg("--dry-run").arg("--json").run().await;
    let told = summary(&dry_run);
    let counts = ["to_call", "in_doubt", "expired", "refused", "ended_before", "expired_before"];
    assert_eq!(counts.map(|name| told[name].as_u64().unwrap()), [1, 0, 1, 2, 1, 0]);
    for _ in 0..2 {
        let (run, status) = swept.launch(&endpoint).arg("--json").run().await;
        assert_eq!(status.code(), Some(3), "{}", run.stderr());
        let lines = &summary(&run)["lines"];
        let counts = ["revoked", "expired", "invalid_job", "failed"];
        assert_eq!(counts.map(|name| lines[name].as_u64().unwrap()), [2, 1, 2, 2], "{lines}");
        assert_eq!(endpoint.count(), 3);
    }
    assert_eq!(swept.lines_with("revoked"), [3, 4]);
    assert_eq!(swept.lines_with("expired"), [2]);
    assert_eq!(swept.failed().into_keys().collect::<Vec<_>>(), [1, 5]);
}

/// `enqueue` counts expired jobs separately: the worker settles them without a call.
#[tokio::test(flavor = "multi_thread")]
async fn enqueue_counts_expired_jobs_separately() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let lines = [job(1, &json!("2020-01-01T00:00:00Z")), job(2, &json!(4_000_000_000_u64))];
    std::fs::write(folder.path().join("jobs.ndjson"), lines.join("\n")).unwrap();
    let enqueue = || stage.enqueue().folder(folder.path()).arg("jobs.ndjson");
    let words = "1 of 2 jobs have expired by their expires_at";
    for launch in [enqueue().arg("--dry-run"), enqueue()] {
        let (said, status) = launch.clone().run().await;
        assert_eq!(status.code(), Some(0), "{}", said.stderr());
        assert!(
            said.stdout().contains(words) && said.stderr().contains(words),
            "{}",
            said.stdout()
        );
        let (said, _) = launch.arg("--json").run().await;
        assert_eq!(
            (&summary(&said)["enqueued"], &summary(&said)["expired"]),
            (&2.into(), &1.into())
        );
        assert!(said.stderr().contains(words), "{}", said.stderr());
    }
}

/// The option refuses values that no job may have: exit code 2 with the error, before anything happens.
#[tokio::test(flavor = "multi_thread")]
async fn the_option_takes_no_expiry_that_a_job_may_not_have() {
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(3);
    let nowhere = |launch: Launch| launch.set("broker.url", "amqp://127.0.0.1:1");
    for (given, words) in [
        ("0", "is 0"),
        ("-1", "negative"),
        ("3600", "lifetime"),
        ("0001-01-01T00:00:00Z", "before the year 2000"),
        ("4000000000000", "milliseconds"),
        ("tomorrow", "neither an RFC 3339 time nor a number of Unix seconds"),
    ] {
        let enqueue = nowhere(Launch::bare("enqueue")).arg(swept.input().display());
        for launch in [swept.launch(&endpoint), enqueue] {
            for launch in [launch.clone(), launch.arg("--dry-run")] {
                let (said, status) = launch.arg(format!("--expires-at={given}")).run().await;
                assert_eq!(status.code(), Some(2), "{given}: {}", said.stderr());
                let said = said.stderr();
                assert!(said.contains("expires_at") && said.contains(words), "{given}: {said}");
            }
        }
    }
    assert_eq!(endpoint.count(), 0);
    assert!(!swept.journal().exists());
}
