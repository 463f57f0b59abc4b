//! Tests of line ends in swept files: each line has its own record under its own number.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use super::{printed, rows, tokens};
use crate::harness::{Answer, AnswerKind, Endpoint, Swept, token};

/// Revokes a token once and answers `01` after that; calls beyond `most` get no answer.
async fn answering(most: &Arc<AtomicUsize>) -> Endpoint {
    let (calls, most) = (AtomicUsize::new(0), Arc::clone(most));
    Endpoint::start(move |call| {
        if calls.fetch_add(1, Ordering::SeqCst) >= most.load(Ordering::SeqCst) {
            return Answer::Never;
        }
        if call.nth == 1 { Answer::revoked() } else { Answer::rejected() }
    })
    .await
}

/// A spreadsheet on a Mac ends lines with a carriage return. In a file of CRLF, one stray carriage return is enough for
/// records to share a line feed. After a kill, the sweep of such a file continues with every line that was not called.
/// Each line has its own ending under its own number.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sweep_of_lines_that_end_with_a_carriage_return_calls_every_token() {
    const LINES: usize = 400;
    const ANSWERED: usize = 55;
    let returns = rows(LINES, |_| "\r");
    let stray = rows(LINES, |line| if line == 3 { "\r" } else { "\r\n" });
    for (name, csv) in [("returns.csv", returns), ("stray.csv", stray)] {
        let answered = Arc::new(AtomicUsize::new(ANSWERED));
        let endpoint = answering(&answered).await;
        let swept = Swept::new(name, csv);
        let launch =
            swept.launch(&endpoint).set("flow.concurrency.max", 16).set("broker.prefetch", 32);
        let run = launch.start();
        endpoint.until_count(ANSWERED + 1).await;
        run.kill().await;
        answered.store(usize::MAX, Ordering::SeqCst);

        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(3), "{name}: no call was cut off; {}", run.stderr());
        assert!(run.stdout().contains("every line has ended"), "{name}: {}", run.stdout());
        let called = endpoint.calls().into_iter().map(|call| call.token);
        assert_eq!(
            called.collect::<BTreeSet<_>>(),
            tokens(1..=LINES),
            "{name}: some were left out"
        );
        let entries: Vec<usize> = swept.entries().into_keys().collect();
        assert_eq!(entries, (2..=LINES + 1).collect::<Vec<_>>(), "{name}");
        // A token whose call was cut off gets `01` now, and is distinguished from a rejected token.
        let failed = swept.failed();
        assert_eq!(swept.lines_with("revoked").len() + failed.len(), LINES, "{name}");
        let told = endpoint.told(AnswerKind::Revoked);
        let proved = |line: &usize| told.contains(&token(line - 1));
        assert!(swept.lines_with("revoked").iter().all(proved), "{name}: revoked without proof");
        assert!(failed.values().all(|reason| reason == "rejected_after_ambiguity"), "{name}");
    }
}

/// The report and the list of failed lines number a rejected line as an editor does, with any line ends.
#[tokio::test(flavor = "multi_thread")]
async fn rejections_are_listed_with_any_line_ends() {
    for end in ["\n", "\r\n", "\r"] {
        let rejects = |token: &str| token.ends_with('7');
        let endpoint = Endpoint::start(move |call| {
            if rejects(&call.token) { Answer::rejected() } else { Answer::revoked() }
        })
        .await;
        let swept = Swept::new("leak.csv", rows(50, |_| end));
        let (run, status) = swept.launch(&endpoint).arg("--json").run().await;
        assert_eq!(status.code(), Some(3), "{end:?}: {}", run.stderr());
        let failed: Vec<usize> = swept.failed().into_keys().collect();
        assert_eq!(failed, [8, 18, 28, 38, 48], "{end:?}");
        assert_eq!(printed(&run)["lines"]["rejected"], 5, "{end:?}");
        assert_eq!(printed(&run)["lines"]["revoked"], 45, "{end:?}");
        assert_eq!(endpoint.count(), 50, "{end:?}");
    }
}

/// A journal of the version that counted only line feeds. Its sweep continues if the numbers agree, and is refused if a
/// carriage return alone ends a line. With force, the keys identify revoked tokens.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_journal_is_resumed_correctly_or_refused() {
    for (end, refused) in [("\r\n", false), ("\r", true)] {
        let endpoint = Endpoint::willing().await;
        let swept = Swept::new("leak.csv", rows(20, |_| end));
        let launch = swept.launch(&endpoint);
        let (_, status) = launch.run().await;
        assert_eq!(status.code(), Some(0), "{end:?}");
        // The first ten have ended, and no line after them was called.
        let journal = fs::read_to_string(swept.journal()).unwrap();
        let numbers = |line: &&str| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["line"].as_u64().is_some_and(|line| line <= 11)
        };
        let entries: Vec<&str> = journal.lines().filter(numbers).collect();
        assert_eq!(entries.len(), 10, "{end:?}");
        let header = journal.lines().next().unwrap();
        let former = header.replacen("{\"revoker_journal\":2,", "{\"revoker_journal\":1,", 1);
        assert_ne!(former, header, "{end:?}");
        let former = format!("{former}\n{{\"started\":11}}\n{}\n", entries.join("\n"));
        fs::write(swept.journal(), &former).unwrap();

        let look = launch.clone().arg("--dry-run").run().await;
        let (run, status) = launch.run().await;
        assert_eq!(look.1.code(), status.code(), "{end:?}");
        if !refused {
            assert_eq!(status.code(), Some(0), "{end:?}: {}", run.stderr());
            assert_eq!(endpoint.count(), 30, "{end:?}: the other ten");
            continue;
        }
        assert_eq!(status.code(), Some(2), "{end:?}: {}", run.stderr());
        assert!(run.stderr().contains("carriage returns"), "{}", run.stderr());
        assert_eq!(fs::read_to_string(swept.journal()).unwrap(), former, "it was touched");
        assert_eq!(endpoint.count(), 20, "{end:?}");
        let (run, status) = launch.arg("--force").run().await;
        assert_eq!(status.code(), Some(0), "{end:?}: {}", run.stderr());
        assert_eq!(endpoint.count(), 30, "{end:?}: what is proved is not called again");
    }
}
