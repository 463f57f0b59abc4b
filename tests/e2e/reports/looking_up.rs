//! `revoker sweep lookup`.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{count, mostly_willing, printed};
use crate::harness::{
    Answer, AnswerKind, Call, Endpoint, Launch, Swept, canary,
    stage::{AUDIENCE, CLIENT},
    swept::text,
    token,
};

fn lookup(swept: &Swept) -> Launch {
    Launch::bare("sweep")
        .set("log.format", "json")
        .set("log.level", "trace")
        .arg("lookup")
        .arg("--journal")
        .arg(swept.journal().display())
}

/// Ten tokens of a swept file, after the file is deleted: each one's end and time. The report's totals agree with the
/// ledger of the endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_and_the_time_of_ten_tokens_are_told_after_the_file_is_deleted() {
    const LINES: usize = 40;
    let endpoint = mostly_willing().await;
    let swept = Swept::tokens(LINES);
    let (json, html) = (swept.beside("report.json"), swept.beside("report.html"));
    let launch = swept.launch(&endpoint).arg("--report").arg(json.display());
    let (run, status) = launch.arg("--report").arg(html.display()).run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let entries = swept.entries();
    fs::remove_file(swept.input()).unwrap();

    let asked: Vec<usize> = (11..=20).rev().collect();
    let run_lookup = lookup(&swept).arg("--json").input(text(asked.clone()));
    let (run, status) = run_lookup.run().await;
    assert_eq!(status.code(), Some(3), "17 was rejected: {}", run.stderr());
    let told = printed(&run);
    assert_eq!(told.len(), asked.len());
    let revoked = endpoint.told(AnswerKind::Revoked);
    for (nth, (n, told)) in asked.iter().zip(&told).enumerate() {
        assert_eq!(told["line"], nth + 1);
        assert_eq!(told["file_lines"], json!([n]));
        assert_eq!(told["at"], entries[n]["at"], "{told}");
        assert_eq!(told["fingerprint"], entries[n]["fingerprint"]);
        if revoked.contains(&token(*n)) {
            assert_eq!((&told["outcome"], &told["proof"]), (&"revoked".into(), &"said".into()));
        } else {
            assert_eq!((&told["outcome"], &told["proof"]), (&"failed".into(), &"none".into()));
            assert_eq!(told["reason"], "rejected");
        }
    }

    let report: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(count(&report["lines"]["revoked"]), revoked.len());
    assert_eq!(count(&report["proof"]["said"]), revoked.len());
    assert_eq!(count(&report["lines"]["rejected"]), LINES - revoked.len());
    assert_eq!(count(&report["not_proved"][0]["count"]), LINES - revoked.len());
    assert_eq!(count(&report["this_run"]["lines"]["revoked"]), revoked.len());
    assert_eq!(report["profile"], "alignet");
    assert_eq!(report["finished"], true);
    for time in ["first_ended_at", "last_ended_at", "finished_at", "made_at"] {
        assert!(report[time].as_str().unwrap().ends_with('Z'), "{time}: {}", report[time]);
    }
    let sum = Command::new("sha256sum").arg(swept.journal()).output().unwrap().stdout;
    let sum = String::from_utf8(sum).unwrap();
    assert_eq!(report["journal_sha256"].as_str(), sum.split(' ').next());

    let html = fs::read_to_string(html).unwrap();
    let sentence =
        format!("Proved dead: {}. Not proved: {}.", revoked.len(), LINES - revoked.len());
    assert!(html.contains(&sentence), "no {sentence}");
    assert!(!html.contains("<script") && !html.contains("src="), "it loads something");
}

/// Text for people. Tokens are named by line and fingerprint; what is unknown or no token is said so.
#[tokio::test(flavor = "multi_thread")]
async fn the_text_says_what_is_known_of_each_line() {
    let endpoint = mostly_willing().await;
    let swept = Swept::tokens(3);
    let (run, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let (run, status) = lookup(&swept).input(text([2, 3])).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    let lines: Vec<_> = run.stdout().lines().map(str::to_owned).collect();
    assert!(
        lines[0].contains("revoked") && lines[0].ends_with("; line 2 of the file"),
        "{lines:?}"
    );
    assert_eq!(lines[2], "2 tokens: 2 proved dead, 0 not proved dead, 0 not in the journal");
    let odd = format!("{}\n\"{}\"\n", token(9), token(1));
    let (run, status) = lookup(&swept).input(odd).run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert!(run.stdout().contains("is not in the journal"), "{}", run.stdout());
    assert!(run.stdout().contains("line 2: no token: "), "{}", run.stdout());

    for (journal, input) in [("nowhere", text([1])), (swept.input().to_str().unwrap(), text([1]))] {
        let launch = Launch::bare("sweep").arg("lookup").arg("--journal").arg(journal);
        let (run, status) = launch.input(input).run().await;
        assert_eq!(status.code(), Some(2), "{}", run.stderr());
    }
}

/// Nothing was called for a refused line. Its token is not in the journal, and that is no proof that the file did not
/// hold it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_found_may_be_on_a_refused_line() {
    let endpoint = mostly_willing().await;
    let swept = Swept::new("leak.txt", format!("{}\n\"{}\"\n", token(1), token(2)));
    let (run, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let (run, status) = lookup(&swept).input(text([1, 2])).run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let lines: Vec<_> = run.stdout().lines().map(str::to_owned).collect();
    assert!(
        lines[1].ends_with("; 1 line of it was refused, and the token may be on it"),
        "{lines:?}"
    );
    assert!(
        lines[2].ends_with(
            "1 not in the journal; refused lines of the journal, which may hold them: 1"
        ),
        "{lines:?}"
    );
    let (run, status) = lookup(&swept).arg("--json").input(text([1, 2])).run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let told = printed(&run);
    assert_eq!((&told[0]["refused_lines"], &told[1]["refused_lines"]), (&Value::Null, &1.into()));
}

/// With the whole hash the journal names tokens by it. Without any hash they are found by their key.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_found_by_as_much_of_their_hash_as_the_journal_has() {
    let endpoint = Endpoint::willing().await;
    for (hash, matched, length) in
        [("short", "fingerprint", 12), ("full", "sha256", 64), ("none", "key", 0)]
    {
        let swept = Swept::new("leak.txt", text([1, 2, 1]));
        let (run, status) = swept.launch(&endpoint).arg("--token-hash").arg(hash).run().await;
        assert_eq!(status.code(), Some(0), "{}", run.stderr());
        for entry in swept.entries().values() {
            let named = entry["token_sha256"].as_str().or(entry["fingerprint"].as_str());
            assert_eq!(named.map_or(0, str::len), length, "{hash}: {entry}");
        }
        let (run, status) = lookup(&swept).arg("--json").input(text([1])).run().await;
        assert_eq!(status.code(), Some(0), "{}", run.stderr());
        let told = &printed(&run)[0];
        assert_eq!((&told["outcome"], &told["matched_by"]), (&"revoked".into(), &matched.into()));
        assert_eq!(told["file_lines"], json!([1, 3]), "line 3 repeats line 1");
    }
}

/// The line of Python in docs/journal.md computes the keys of a real journal.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_line_of_python_computes_the_keys() {
    let endpoint = Endpoint::willing().await;
    let lines = [
        json!({ "refresh_token": token(1) }),
        json!({ "refresh_token": token(2), "username": "ñandú" }),
        json!({ "refresh_token": token(3), "client_id": CLIENT, "audience": "a", "username": "" }),
    ];
    let swept = Swept::new("leak.ndjson", lines.each_ref().map(Value::to_string).join("\n"));
    let (run, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());

    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/journal.md");
    let page = fs::read_to_string(page).unwrap();
    let code = page.split("```python\n").nth(1).expect("the page has Python");
    let code = code.split("```").next().unwrap();
    for (line, job) in (1..).zip(&lines) {
        let or =
            |name: &str, default: &str| job.get(name).cloned().unwrap_or_else(|| default.into());
        let username = job.get("username").cloned().unwrap_or_default();
        let parts = json!([
            job["refresh_token"],
            or("client_id", CLIENT),
            or("audience", AUDIENCE),
            username
        ]);
        let program = format!("{code}\nimport json, sys\nprint(key(*json.loads(sys.argv[1])))");
        let run =
            Command::new("python3").args(["-c", &program, &parts.to_string()]).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let computed = String::from_utf8(run.stdout).unwrap();
        assert_eq!(swept.entries()[&line]["key"], computed.trim(), "{parts}");
    }
}

/// An endpoint that echoes requests, lines that are no jobs, and misplaced secrets. The harness searches the output of
/// each command, and every file that is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn no_canary_shows_in_a_report_or_a_lookup() {
    let endpoint = Endpoint::start(|call: &Call| {
        let sent = String::from_utf8_lossy(&call.request.body);
        Answer::rejected_with(&format!("{} {} {sent}", call.token, canary::SECRET))
    })
    .await;
    let lines = [
        json!({ "refresh_token": token(1), "client_secret": canary::SECRET }).to_string(),
        token(2),
        json!({ "refresh_token": token(4), "client_id": token(4) }).to_string(),
        json!({ "refresh_token": token(5), "username": token(5) }).to_string(),
    ];
    let swept = Swept::new("leak.ndjson", lines.join("\n"));
    let launch = swept.launch(&endpoint).set("log.level", "trace").arg("--token-hash").arg("full");
    let launch = launch.arg("--report").arg(swept.beside("report.json").display());
    let (run, status) =
        launch.arg("--report").arg(swept.beside("report.html").display()).run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.of(&token(1)).len(), 1, "the echo did not arrive");

    let asked = text([1, 2, 3, 4, 5]) + &format!("{}\n'{}'\n", canary::SECRET, token(6));
    for json in [false, true] {
        let launch = lookup(&swept).input(asked.clone());
        let launch = if json { launch.arg("--json") } else { launch };
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(3), "{}", run.stderr());
        assert!(run.stdout().contains("[redacted]"), "the echo is in the detail: {}", run.stdout());
        assert_eq!(run.stdout().lines().count(), 7 + usize::from(!json), "{}", run.stdout());
    }
}
