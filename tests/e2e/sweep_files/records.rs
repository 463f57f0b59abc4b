//! Tests of records of realistic files: joined files, stray quotes, other columns.

use super::{printed, rows, tokens};
use crate::harness::{Answer, AnswerKind, Endpoint, Swept, token};

/// Two joined exports: the second has a byte order mark and a header row, and some tokens have extra characters. A dry
/// run reports the lines. They are not called, and the rest is.
#[tokio::test(flavor = "multi_thread")]
async fn joined_files_are_reported_and_only_tokens_are_called() {
    let first = format!("\u{feff}refresh_token,note\r\n{},\r\n {},\r\n", token(1), token(2));
    let second = format!(
        "\u{feff}refresh_token,note\r\n{}\u{a0},\r\n\u{200b}{},\r\n'{}',\r\n{},\r\n",
        token(3),
        token(4),
        token(5),
        token(6)
    );
    let endpoint = Endpoint::willing().await;
    let swept = Swept::new("leak.csv", first + &second);
    let launch = swept.launch(&endpoint);
    let (run, status) = launch.clone().arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let said = run.stdout();
    for sentence in [
        "files seem to be joined there: line 4\n",
        "line 3: the token begins or ends with a space",
        "line 4: it is a header row",
        "line 5: the token begins or ends with a no-break space",
        "line 6: the token begins or ends with a zero-width space",
        "line 7: quotes surround the token",
    ] {
        assert!(said.contains(sentence), "no {sentence:?} in {said}");
    }
    let words: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for row in ["lines 7", "refused 5", "of these header_row 1", "of these odd_token 4"] {
        assert!(words.iter().any(|line| line == row), "no {row:?} in {said}");
    }
    let (look, _) = launch.clone().arg("--dry-run").arg("--json").run().await;
    let look = printed(&look);
    assert_eq!([&look["lines"], &look["to_call"], &look["refused"]], [7, 2, 5]);
    assert_eq!(look["remarks"]["refused_by_kind"]["odd_token"], 4);
    assert_eq!(look["remarks"]["marked_lines"], serde_json::json!([4]));
    assert_eq!(endpoint.count(), 0);

    let (run, status) = launch.arg("--json").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.told(AnswerKind::Revoked), tokens([1, 6]));
    assert_eq!(endpoint.count(), 2);
    assert_eq!(swept.lines_with("revoked"), [2, 8]);
    assert_eq!(swept.failed().into_keys().collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    assert_eq!(printed(&run)["lines"]["invalid_job"], 5);
}

/// An unclosed quote makes one record of the rest of a file. The dry run, the sweep and the list of failed lines report
/// the number of these lines and the first one.
#[tokio::test(flavor = "multi_thread")]
async fn lines_after_a_stray_quote_are_reported() {
    const SWALLOWED: usize = 99_002;
    let rest = rows(SWALLOWED, |_| "\r\n");
    let (_, rest) = rest.split_once("\r\n").unwrap();
    let csv = format!("refresh_token,note\r\n{},x\r\n{},\"x\r\n{rest}\r\n", token(0), token(1));
    let endpoint = Endpoint::willing().await;
    let swept = Swept::new("leak.csv", csv);
    let launch = swept.launch(&endpoint);
    let quote = format!("a quote that opens on line 3 extends to line {}", SWALLOWED + 3);
    let count = format!("lines behind a stray quote, none of them read as a job: {SWALLOWED}\n");
    let (run, status) = launch.clone().arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let said = run.stdout();
    assert!(said.contains(&format!("line 3: {quote}")) && said.contains(&count), "{said}");

    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert!(run.stdout().contains(&count), "{}", run.stdout());
    let detail = swept.entries()[&3]["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with(&quote), "{detail}");
    assert_eq!(endpoint.told(AnswerKind::Revoked), tokens([0]));
}

/// A stray quote that the next stray one closes makes one sound record of several rows: it is refused, and the dry run
/// and the sweep report the rows. A note over several lines is a job, and the log reports it.
#[tokio::test(flavor = "multi_thread")]
async fn rows_between_two_stray_quotes_are_reported() {
    let t = token;
    let csv = format!(
        "refresh_token,note\n{},ok\n{},\"\n{},x\n{},x\n{},\"\n{},ok\n{},\"two\nlines\"\n",
        t(1),
        t(2),
        t(3),
        t(4),
        t(5),
        t(6),
        t(7),
    );
    let endpoint = Endpoint::willing().await;
    let swept = Swept::new("leak.csv", csv);
    let launch = swept.launch(&endpoint);
    let quote = "a quote that opens on line 3 extends to line 6: 3 lines behind it";
    let (run, status) = launch.clone().arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let said = run.stdout();
    assert!(said.contains(&format!("line 3: {quote}")), "{said}");
    assert!(said.contains("none of them read as a job: 3\n"), "{said}");
    assert!(said.contains("part of the record before them: 1, behind line 8\n"), "{said}");
    assert_eq!(endpoint.count(), 0);

    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.told(AnswerKind::Revoked), tokens([1, 6, 7]));
    let detail = swept.entries()[&3]["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with(quote), "{detail}");
    let log = run.stderr();
    assert!(log.contains("1 records run over several lines") && log.contains("line 8"), "{log}");
}

/// A file with other columns. The same file with another column option has different jobs, so the journal belongs to
/// another sweep.
#[tokio::test(flavor = "multi_thread")]
async fn columns_and_delimiters_follow_the_options() {
    let row = |n: usize| format!("{};\"{}\";user{n}\r\n", token(100 + n), token(n));
    let rows: String = (1..=20).map(row).collect();
    let swept = Swept::new("export.csv", format!("sep=;\r\nId;Token;Mail\r\n{rows}"));
    let endpoint = Endpoint::start(|call| {
        assert!(call.request.json()["username"].as_str().unwrap().starts_with("user"));
        Answer::revoked()
    })
    .await;
    let plain = swept.launch(&endpoint);
    let (run, status) = plain.run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("--delimiter semicolon"), "{}", run.stderr());
    let divided = plain.arg("--delimiter").arg(";").arg("--column").arg("username=mail");
    let (run, status) = divided.run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("--column refresh_token=NAME"), "{}", run.stderr());
    assert!(!swept.journal().exists());

    let with_token =
        |name: &str| divided.clone().arg("--column").arg(format!("refresh_token={name}"));
    let (run, status) = with_token("token").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.told(AnswerKind::Revoked), tokens(1..=20));
    assert_eq!(swept.lines_with("revoked"), (3..=22).collect::<Vec<_>>());
    let (run, status) = with_token("TOKEN").run().await;
    assert_eq!(status.code(), Some(0), "the same column: {}", run.stderr());
    let (run, status) = with_token("id").run().await;
    assert_eq!(status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("columns was refresh_token=token"), "{}", run.stderr());
    assert_eq!(endpoint.count(), 20);
    let (run, status) = with_token("id").arg("--force").run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.count(), 40);
}
