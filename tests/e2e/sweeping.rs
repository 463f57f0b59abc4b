//! `revoker sweep`: a file of tokens, a journal, and no broker anywhere.

use std::{collections::BTreeSet, fs, io::Write as _};

use serde_json::Value;

use crate::harness::{
    Answer, AnswerKind, Call, Endpoint, Launch, Swept, canary,
    swept::{sweep, text},
    token,
};

/// No broker listens there, so a command that needs one fails.
fn without_broker(launch: Launch) -> Launch {
    launch.set("broker.url", "amqp://guest:guest@127.0.0.1:1/%2f")
}

/// Every token is revoked once, as the journal and the report show. The same command finds nothing left to do.
#[tokio::test(flavor = "multi_thread")]
async fn every_token_of_a_file_is_revoked_and_a_second_run_calls_nothing() {
    const LINES: usize = 3_000;
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(LINES);
    let launch = without_broker(swept.launch(&endpoint));
    let (first, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", first.stderr());
    assert_eq!(endpoint.count(), LINES);
    assert_eq!(endpoint.told(AnswerKind::Revoked), (1..=LINES).map(token).collect());
    assert_eq!(swept.lines_with("revoked"), (1..=LINES).collect::<Vec<_>>());
    assert!(first.stdout().contains("every line has ended"), "{}", first.stdout());
    assert!(swept.failed().is_empty());

    let (second, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", second.stderr());
    assert_eq!(endpoint.count(), LINES, "a token was called twice");
    assert!(second.stdout().contains("every line has ended"), "{}", second.stdout());
}

/// One line of each kind and many of some: every non-blank line has exactly one ending, the list of failed lines names
/// each failure, and the counts of the report agree.
#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_a_mixed_file_balance() {
    const PLAIN: usize = 200;
    let rejects = |token: &str| token.ends_with('7');
    let endpoint =
        Endpoint::start(
            move |call: &Call| {
                if rejects(&call.token) { Answer::rejected() } else { Answer::revoked() }
            },
        )
        .await;
    let job = |n: usize| format!("{{\"refresh_token\":\"{}\"}}", token(n));
    let mut lines: Vec<String> = (1..=PLAIN).map(job).collect();
    let after = |n: usize| PLAIN + n;
    lines.extend([
        job(1),
        String::new(),
        "not a job".to_owned(),
        format!("{{\"refresh_token\":[\"{}\"]}}", token(300)),
        format!("{{\"refresh_token\":\"{}\",\"expires_at\":1000000000}}", token(301)),
        format!("{{\"refresh_token\":\"{}\",\"client_id\":\"stranger\"}}", token(302)),
    ]);
    let swept = Swept::new("leak.ndjson", lines.join("\n"));
    let report = swept.beside("report.json");
    let (run, status) =
        swept.launch(&endpoint).arg("--json").arg("--report").arg(report.display()).run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());

    let rejected: BTreeSet<usize> = (1..=PLAIN).filter(|n| rejects(&token(*n))).collect();
    let failed = swept.failed();
    assert_eq!(failed[&after(3)], "invalid_job");
    assert_eq!(failed[&after(4)], "invalid_job");
    assert_eq!(failed[&after(6)], "unknown_client");
    let by_endpoint: BTreeSet<usize> =
        failed.iter().filter(|(_, reason)| *reason == "rejected").map(|(line, _)| *line).collect();
    assert_eq!(by_endpoint, rejected);
    assert_eq!(swept.lines_with("repeated"), [after(1)]);
    assert_eq!(swept.lines_with("expired"), [after(5)]);
    assert_eq!(swept.entries().len(), lines.len() - 1, "every line but the blank one");

    let written: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let printed: Value = serde_json::from_str(&run.stdout()).unwrap();
    assert_eq!(written, printed);
    let count = |name: &str| usize::try_from(printed["lines"][name].as_u64().unwrap()).unwrap();
    assert_eq!(count("revoked"), PLAIN - rejected.len());
    assert_eq!(count("rejected"), rejected.len());
    assert_eq!(count("failed"), failed.len());
    let endings = ["revoked", "presumed_revoked", "duplicate", "expired", "repeated", "failed"];
    assert_eq!(endings.map(count).iter().sum::<usize>(), lines.len() - 1);
    assert_eq!(printed["this_run"]["calls"], endpoint.count());
    assert_eq!(endpoint.count(), PLAIN);
    assert!(printed["this_run"]["latency_seconds"]["p99"].as_f64().unwrap() > 0.0);
}

/// A file of a spreadsheet: a byte order mark, CRLF, quoted fields, other columns. Missing fields are filled in. The
/// compressed file gives the same result.
#[tokio::test(flavor = "multi_thread")]
async fn a_spreadsheets_csv_is_swept_also_compressed() {
    let rows = (1..=3).map(|n| format!("\"{}\",\"Ms. \"\"{n}\"\"\"\r\n", token(n)));
    let csv = format!("\u{feff}refresh_token,who\r\n{}", rows.collect::<String>());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(csv.as_bytes()).unwrap();
    for (name, content) in
        [("leak.csv", csv.clone().into_bytes()), ("leak.csv.gz", gzip.finish().unwrap())]
    {
        let endpoint = Endpoint::start(|call| {
            let body = call.request.json();
            assert_eq!((&body["username"], &body["client_id"]), (&"ann".into(), &"shop".into()));
            Answer::revoked()
        })
        .await;
        let swept = Swept::new(name, content);
        let launch = swept.launch(&endpoint).set("credentials.client_id", "shop");
        let (run, status) = launch.arg("--username").arg("ann").run().await;
        assert_eq!(status.code(), Some(0), "{name}: {}", run.stderr());
        assert_eq!(endpoint.told(AnswerKind::Revoked), (1..=3).map(token).collect(), "{name}");
        assert_eq!(swept.lines_with("revoked"), [2, 3, 4], "{name}");
    }
}

/// A file that is no list of tokens is refused before any call or write.
#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_input_is_refused_at_once() {
    let semicolons = format!("refresh_token;who\n{};ann\n", token(1));
    let cases: [(&str, &[u8], &str); 4] = [
        ("leak.csv", semicolons.as_bytes(), "semicolon"),
        ("leak.txt", b"\x7fELF\x02\x01\x01\0\0\0\0", "binary"),
        ("leak", b"token\n", "--format"),
        ("leak.json", b"[\n  {\"refresh_token\":\"t\"}\n]\n", "jq"),
    ];
    let endpoint = Endpoint::willing().await;
    for (name, content, word) in cases {
        let swept = Swept::new(name, content);
        let (run, status) = swept.launch(&endpoint).run().await;
        assert_eq!(status.code(), Some(2), "{name}: {}", run.stderr());
        assert!(run.stderr().contains(word), "{name}: {}", run.stderr());
        assert!(!swept.journal().exists(), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    for (path, sentence) in [
        (folder.path().join("leak.csv"), "there is no such file"),
        (folder.path().join("leak"), "there is no such file"),
        (folder.path().to_owned(), "it is a directory"),
    ] {
        for option in ["--json", "--dry-run"] {
            let launch = sweep(&endpoint).arg(path.display()).arg(option);
            let (run, status) = launch.run().await;
            assert_eq!(status.code(), Some(2), "{}", run.stderr());
            assert!(run.stderr().contains(sentence), "{}", run.stderr());
            let journal = launch.arg("--journal").arg(folder.path().join("j").display());
            let (run, status) = journal.run().await;
            assert_eq!(status.code(), Some(2), "{}", run.stderr());
            assert!(run.stderr().contains(sentence), "{}", run.stderr());
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a journal was made");
    assert_eq!(endpoint.count(), 0);
}

/// A truncated download: the readable part is swept, and the missing rest is reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ends_too_early_is_swept_as_far_as_it_goes() {
    let mut whole = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    whole.write_all(text(1..=5_000).as_bytes()).unwrap();
    let whole = whole.finish().unwrap();
    let endpoint = Endpoint::willing().await;
    let swept = Swept::new("leak.txt.gz", &whole[..whole.len() / 2]);
    let (run, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    let revoked = swept.lines_with("revoked").len();
    assert!((100..5_000).contains(&revoked), "{revoked} revoked");
    assert_eq!(endpoint.count(), revoked);
    let missing = format!("from line {} on", revoked + 1);
    assert!(run.stderr().contains(&missing), "no {missing} in {}", run.stderr());
    assert!(run.stdout().contains("not finished"), "{}", run.stdout());

    swept.write(&whole);
    let (run, status) = swept.launch(&endpoint).arg("--force").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.count(), 5_000, "a token was called twice");
}

/// A file without a line is probably the wrong file: "every line has ended" would be misleading.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_without_a_line_is_refused() {
    let endpoint = Endpoint::willing().await;
    for (name, content) in
        [("leak.csv.gz", ""), ("leak.csv", "refresh_token\r\n"), ("leak.txt", "\n \r\n")]
    {
        let swept = Swept::new(name, content);
        for option in ["--dry-run", "--json"] {
            let (run, status) = swept.launch(&endpoint).arg(option).run().await;
            assert_eq!(status.code(), Some(2), "{name}: {}", run.stderr());
            assert!(run.stderr().contains("it holds no jobs"), "{name}: {}", run.stderr());
            assert!(!swept.journal().exists(), "{name}");
        }
    }
}

/// A dry run calls nothing and writes nothing. Its report matches the sweep, with the journal as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_only_looks() {
    let endpoint = Endpoint::willing().await;
    let swept = Swept::new("leak.txt", text([1, 2, 1]) + &"x".repeat(101) + "\n");
    let look = swept.launch(&endpoint).arg("--dry-run").arg("--json");
    let (run, status) = look.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let told: Value = serde_json::from_str(&run.stdout()).unwrap();
    let count = |told: &Value, name: &str| told[name].as_u64().unwrap();
    let first = ["lines", "to_call", "repeated", "refused", "ended_before"];
    assert_eq!(first.map(|name| count(&told, name)), [4, 2, 1, 1, 0]);
    assert_eq!(told["refused_lines"][0]["line"], 4);
    assert_eq!(endpoint.count(), 0);
    assert_eq!(fs::read_dir(swept.input().parent().unwrap()).unwrap().count(), 1);

    let (_, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(3));
    let journal = fs::read(swept.journal()).unwrap();
    let (run, status) = look.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let told: Value = serde_json::from_str(&run.stdout()).unwrap();
    let second = ["lines", "to_call", "refused", "ended_before", "failed_before"];
    assert_eq!(second.map(|name| count(&told, name)), [4, 0, 0, 4, 1]);
    assert_eq!(fs::read(swept.journal()).unwrap(), journal, "it was touched");
    assert_eq!(endpoint.count(), 2);
}

/// No call is made for a job of a client without a secret, nor for a line that is no job. A dry run says so beforehand,
/// and its numbers match the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_foresees_every_line_that_fails_without_a_call() {
    const REFUSED: usize = 25;
    let endpoint = Endpoint::willing().await;
    let stranger = format!("{{\"refresh_token\":\"{}\",\"client_id\":\"stranger\"}}", token(2));
    let lines = [format!("{{\"refresh_token\":\"{}\"}}", token(1)), stranger];
    let refused = vec!["no job".to_owned(); REFUSED];
    let swept = Swept::new("leak.ndjson", [&lines[..], &refused[..]].concat().join("\n"));
    let launch = swept.launch(&endpoint).arg("--dry-run");
    let (run, status) = launch.clone().run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert!(run.stdout().contains("which would fail: line 2\n"), "{}", run.stdout());
    assert!(run.stdout().contains("and 5 more, which --json lists too\n"), "{}", run.stdout());

    let (run, status) = launch.arg("--json").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let told: Value = serde_json::from_str(&run.stdout()).unwrap();
    assert_eq!([&told["to_call"], &told["unknown_client"], &told["refused"]], [1, 1, REFUSED]);
    assert_eq!(told["unknown_client_lines"], serde_json::json!([2]));
    let numbers = told["refused_lines"].as_array().unwrap().iter().map(|line| &line["line"]);
    assert!(numbers.map(|line| line.as_u64().unwrap()).eq(3..28), "{told}");
    assert_eq!(endpoint.count(), 0);

    let (run, status) = swept.launch(&endpoint).arg("--json").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let told: Value = serde_json::from_str(&run.stdout()).unwrap();
    let lines = &told["lines"];
    assert_eq!(
        [&lines["revoked"], &lines["unknown_client"], &lines["invalid_job"]],
        [1, 1, REFUSED]
    );
}

/// Standard input has no name for a journal, and cannot be recognized again.
#[tokio::test(flavor = "multi_thread")]
async fn standard_input_needs_a_journal_and_resumes_only_by_force() {
    let endpoint = Endpoint::willing().await;
    let swept = Swept::new("unused", "");
    let launch = |tokens: std::ops::RangeInclusive<usize>| {
        sweep(&endpoint).arg("--format").arg("text").arg("-").input(text(tokens))
    };
    let (run, status) = launch(1..=3).run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("--journal"), "{}", run.stderr());
    assert_eq!(endpoint.count(), 0);

    let journal = swept.journal();
    let with_journal = |launch: Launch| launch.arg("--journal").arg(journal.display());
    let (run, status) = with_journal(launch(1..=3)).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.told(AnswerKind::Revoked), (1..=3).map(token).collect());

    let (run, status) = with_journal(launch(2..=4)).run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("--force"), "{}", run.stderr());

    let (run, status) = with_journal(launch(2..=4)).arg("--force").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.count(), 4, "only the fourth was not known to be revoked");
    assert_eq!(endpoint.of(&token(4)).len(), 1);
}

/// Failed lines stay failed until a retry is requested. Then they are called again, and the list is removed with the
/// last one.
#[tokio::test(flavor = "multi_thread")]
async fn failed_lines_are_swept_again_when_asked_for() {
    let endpoint = Endpoint::start(|call| match call.nth {
        1 if call.token.ends_with('5') => Answer::rejected(),
        _ => Answer::revoked(),
    })
    .await;
    let swept = Swept::tokens(20);
    let launch = swept.launch(&endpoint);
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(swept.failed().into_keys().collect::<Vec<_>>(), [5, 15]);

    let (_, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "they still failed");
    assert_eq!(endpoint.count(), 20);

    let (run, status) = launch.clone().arg("--retry-failed").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.count(), 22);
    assert_eq!(swept.lines_with("revoked").len(), 20);
    assert!(swept.failed().is_empty());
    let (_, status) = launch.run().await;
    assert_eq!(status.code(), Some(0));
}

/// Metrics and probes are served if requested.
#[tokio::test(flavor = "multi_thread")]
async fn the_admin_pages_are_served_when_asked_for() {
    let gate = crate::harness::Gate::default();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |_| Answer::revoked().after(&held)).await;
    let swept = Swept::tokens(3);
    let run = swept.launch(&endpoint).arg("--admin").arg("127.0.0.1:0").start();
    run.until_ready().await;
    endpoint.until_count(3).await;
    let metrics = run.metrics().await;
    assert_eq!(metrics.value(r#"deliveries_total{lane="bulk",redelivered="false"}"#), 3);
    assert_eq!(metrics.value(r#"jobs_in_flight{state="calling"}"#), 3);
    assert!(run.page("/readyz").await.body.contains("\"journal\""));
    let page = run.page("/").await.body;
    assert!(page.contains("class=\"sweep\">Sweep: 0 % of the file, 0 lines ended."), "{page}");
    assert!(page.contains("Failed lines by cause"), "{page}");
    gate.open();
    assert_eq!(run.exit().await.code(), Some(0), "{}", run.stderr());
}

/// Everything that could expose a token, at the most verbose level: an endpoint that echoes requests, lines that are no
/// jobs, and misplaced secrets. The harness searches both streams and every file that is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn no_canary_shows_in_any_output() {
    let endpoint = Endpoint::start(|call: &Call| {
        let sent = String::from_utf8_lossy(&call.request.body);
        match call.nth {
            1 => Answer::status(503),
            _ => Answer::rejected_with(&format!("{} {} {sent}", call.token, canary::SECRET)),
        }
    })
    .await;
    let lines = [
        format!("{{\"refresh_token\":\"{}\",\"client_secret\":\"{}\"}}", token(1), canary::SECRET),
        token(2),
        format!("{{\"refresh_token\":[\"{}\"]}}", token(3)),
        format!("{{\"refresh_token\":\"{}\",\"client_id\":\"{}\"}}", token(4), token(4)),
        format!("{{\"{}\":\"{}\"", token(5), canary::SECRET),
    ];
    let swept = Swept::new("leak.ndjson", lines.join("\n"));
    let report = swept.beside("report.json");
    let launch = swept.launch(&endpoint).set("log.level", "trace");
    let (run, status) = launch.clone().arg("--report").arg(report.display()).run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.of(&token(1)).len(), 2, "the echo did not arrive");
    assert_eq!(swept.failed().len(), lines.len());
    let (run, status) = launch.arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
}
