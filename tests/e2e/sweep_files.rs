//! Files as people have them, swept: lines, records, calls and the report agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::harness::{Answer, Endpoint, Launch, Said, Swept, Worker, swept::text, token};

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

/// Tokens `1..=lines` as the rows of a CSV file, each row behind `end`.
fn rows(lines: usize, end: impl Fn(usize) -> &'static str) -> String {
    let rows = (1..=lines).map(|line| format!("{}{},x", end(line), token(line)));
    format!("refresh_token,note{}", rows.collect::<String>())
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What a run printed as JSON.
fn printed(run: &Worker) -> Value {
    serde_json::from_str(&run.stdout())
        .unwrap_or_else(|error| panic!("{error} in {:?}; {}", run.stdout(), run.stderr()))
}

fn tokens(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(token).collect()
}

/// A spreadsheet on a Mac ends lines with a carriage return, and one stray carriage return in a file of
/// CRLF is enough for records to share a line feed. A sweep of such a file that is killed goes on with
/// every line that was not called, and each line has its own ending under its own number.
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
        // Whose call was cut off is answered `01` now, and is told from a token that was rejected.
        let failed = swept.failed();
        assert_eq!(swept.lines_with("revoked").len() + failed.len(), LINES, "{name}");
        let told = endpoint.told(Said::Revoked);
        let proved = |line: &usize| told.contains(&token(line - 1));
        assert!(swept.lines_with("revoked").iter().all(proved), "{name}: revoked without proof");
        assert!(failed.values().all(|reason| reason == "rejected_after_ambiguity"), "{name}");
    }
}

/// A line that is rejected stands in the report and in the list of failed lines under the number that an
/// editor shows, whatever ends the lines.
#[tokio::test(flavor = "multi_thread")]
async fn rejections_are_listed_whatever_ends_the_lines() {
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

/// A journal of the form that counted line feeds: its sweep goes on where the numbers mean the same, and
/// is refused where a carriage return ends a line by itself. By force, the keys tell what is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_journal_is_gone_on_with_rightly_or_refused() {
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

/// Two exports that were joined: the second brings its byte order mark and its header row, and some tokens
/// what people put around them. A look says where, nothing of it is called, and the rest is.
#[tokio::test(flavor = "multi_thread")]
async fn two_files_that_were_joined_are_told_and_only_tokens_are_called() {
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
        "line 7: quotes stand around the token",
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
    assert_eq!(endpoint.told(Said::Revoked), tokens([1, 6]));
    assert_eq!(endpoint.count(), 2);
    assert_eq!(swept.lines_with("revoked"), [2, 8]);
    assert_eq!(swept.failed().into_keys().collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    assert_eq!(printed(&run)["lines"]["invalid_job"], 5);
}

/// A quote that nobody closes makes one record of the rest of a file. Whoever looks, sweeps or reads the
/// list of failed lines is told how many lines that are, and from where.
#[tokio::test(flavor = "multi_thread")]
async fn lines_behind_a_stray_quote_are_told() {
    const SWALLOWED: usize = 99_002;
    let rest = rows(SWALLOWED, |_| "\r\n");
    let (_, rest) = rest.split_once("\r\n").unwrap();
    let csv = format!("refresh_token,note\r\n{},x\r\n{},\"x\r\n{rest}\r\n", token(0), token(1));
    let endpoint = Endpoint::willing().await;
    let swept = Swept::new("leak.csv", csv);
    let launch = swept.launch(&endpoint);
    let quote = format!("a quote that opens on line 3 runs on to line {}", SWALLOWED + 3);
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
    assert_eq!(endpoint.told(Said::Revoked), tokens([0]));
}

/// A stray quote that the next stray one closes makes one sound record of several rows: it is refused, and
/// whoever looks or sweeps is told of the rows. A note over lines is a job, and the log names it.
#[tokio::test(flavor = "multi_thread")]
async fn rows_between_two_stray_quotes_are_told() {
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
    let quote = "a quote that opens on line 3 runs on to line 6: 3 lines behind it";
    let (run, status) = launch.clone().arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    let said = run.stdout();
    assert!(said.contains(&format!("line 3: {quote}")), "{said}");
    assert!(said.contains("none of them read as a job: 3\n"), "{said}");
    assert!(said.contains("part of the record before them: 1, behind line 8\n"), "{said}");
    assert_eq!(endpoint.count(), 0);

    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.told(Said::Revoked), tokens([1, 6, 7]));
    let detail = swept.entries()[&3]["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with(quote), "{detail}");
    let log = run.stderr();
    assert!(log.contains("1 records run over several lines") && log.contains("line 8"), "{log}");
}

/// The report, the journal or the list of failed lines in place of the input, or of each other, would take the
/// only record of what is left to do: nothing is begun then.
#[tokio::test(flavor = "multi_thread")]
async fn no_output_is_written_over_another_file_of_the_sweep() {
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(2);
    let (input, journal) = (swept.input(), swept.journal());
    let list = swept.beside("tokens.txt.failed.ndjson");
    let link = swept.beside("link");
    std::os::unix::fs::symlink("tokens.txt", &link).unwrap();
    let dotted = swept.beside("./tokens.txt.journal.ndjson");
    for (option, place, roles) in [
        ("--report", &input, "the input and the report"),
        ("--report", &link, "the input and the report"),
        ("--report", &journal, "the journal and the report"),
        ("--report", &dotted, "the journal and the report"),
        ("--report", &list, "the list of failed lines and the report"),
        ("--journal", &input, "the input and the journal"),
        ("--journal", &list, "the journal and the list of failed lines"),
    ] {
        for dry_run in [true, false] {
            let launch = swept.launch(&endpoint).arg(option).arg(place.display());
            let launch = if dry_run { launch.arg("--dry-run") } else { launch };
            let (run, status) = launch.run().await;
            assert_eq!(status.code(), Some(2), "{option} {}: {}", place.display(), run.stderr());
            assert!(run.stderr().contains(roles), "no {roles:?} in {}", run.stderr());
        }
    }
    assert_eq!(fs::read_to_string(&input).unwrap(), text(1..=2));
    assert!(!journal.exists() && !list.exists());
    assert_eq!(endpoint.count(), 0);
    fs::remove_file(link).unwrap();
}

/// What stands before the place where a file breaks off is surveyed, and told before the fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_file_that_breaks_off_tells_what_stands_before() {
    let endpoint = Endpoint::willing().await;
    let junk = [&gzip(&text(1..=300))[..], b"<html>moved</html>"].concat();
    let swept = Swept::new("leak.txt.gz", junk);
    let (run, status) = swept.launch(&endpoint).arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    let said = run.stdout();
    let row = said.lines().find(|line| line.trim_start().starts_with("to be called"));
    assert!(row.is_some_and(|row| row.ends_with(" 300")), "{said}");
    assert!(said.contains("cannot be read from line 301 on"), "{said}");
    assert!(run.stderr().contains("not gzip stands behind the gzip data"), "{}", run.stderr());
    let (run, status) = swept.launch(&endpoint).arg("--dry-run").arg("--json").run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    let told = printed(&run);
    assert_eq!([&told["lines"], &told["finished"]], [&Value::from(300), &Value::from(false)]);
}

/// A tape or a block device fills its last block with zeros, behind which there is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn zeros_behind_packed_data_are_no_fault() {
    let endpoint = Endpoint::willing().await;
    let padded = [gzip(&text(1..=500)), vec![0; 10_240], gzip(&text(501..=600)), vec![0; 100]];
    let swept = Swept::new("leak.txt.gz", padded.concat());
    let (run, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.told(Said::Revoked), tokens(1..=600));
    assert_eq!(swept.lines_with("revoked"), (1..=600).collect::<Vec<_>>());
}

/// Behind packed data stands something else, or its end is missing: what could be read is swept, and
/// nothing promises that the same command goes on. With the file mended, it does by force.
#[tokio::test(flavor = "multi_thread")]
async fn packed_data_that_is_broken_is_not_promised_to_go_on() {
    let whole = gzip(&text(1..=3_000));
    for (content, said) in [
        (
            [&whole[..], b"<html>moved</html>"].concat(),
            "not gzip stands behind the gzip data; get the whole file",
        ),
        (whole[..whole.len() / 2].to_vec(), "the gzip data is cut short"),
    ] {
        let endpoint = Endpoint::willing().await;
        let swept = Swept::new("leak.txt.gz", content);
        let launch = swept.launch(&endpoint);
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(1), "{}", run.stderr());
        assert!(run.stderr().contains(said), "no {said} in {}", run.stderr());
        let report = run.stdout();
        assert!(report.contains("not finished") && report.contains("has to be mended"), "{report}");
        assert!(!report.contains("same command goes on"), "{report}");
        let revoked = swept.lines_with("revoked").len();
        assert_eq!(endpoint.count(), revoked);
        assert!((100..=3_000).contains(&revoked), "{revoked}");

        // It does end at the same place.
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(1), "{}", run.stderr());
        assert_eq!(endpoint.count(), revoked);

        swept.write(&whole);
        let (run, status) = launch.arg("--force").run().await;
        assert_eq!(status.code(), Some(0), "{}", run.stderr());
        assert_eq!(endpoint.count(), 3_000, "a token was called twice");
    }
}

/// A file of other people's making. The same file with another column is other jobs, so the journal is of
/// another sweep.
#[tokio::test(flavor = "multi_thread")]
async fn columns_and_delimiters_are_what_is_said() {
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
    assert_eq!(endpoint.told(Said::Revoked), tokens(1..=20));
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

/// Gives a command a folder that it cannot write to, as a file on read-only media has.
fn on_read_only_media(launch: Launch, folder: &Path) -> Launch {
    // The mount is in a namespace of its own: nobody else sees it, and it ends with the process.
    let folder = folder.display();
    launch.after(&format!(
        "[ \"$MOUNTED\" ] || MOUNTED=1 exec unshare --mount --map-root-user sh -c \
         'mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec \"$0\" \"$@\"' \
         \"$0\" \"$@\""
    ))
}

/// The file lies on read-only media, journal and report elsewhere: the failed lines are listed beside the
/// journal, and the report is printed and written.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_on_read_only_media_is_swept_with_a_journal_elsewhere() {
    let endpoint = Endpoint::start(|call| {
        if call.token.ends_with('3') { Answer::rejected() } else { Answer::revoked() }
    })
    .await;
    let swept = Swept::tokens(10);
    let elsewhere = tempfile::tempdir().unwrap();
    let (journal, report) = (elsewhere.path().join("j"), elsewhere.path().join("report.json"));
    let read_only = |launch: Launch| on_read_only_media(launch, swept.input().parent().unwrap());
    // Said at once, while nothing was called yet.
    let (run, status) = read_only(swept.launch(&endpoint)).run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    let said = run.stderr();
    assert!(said.contains("Read-only file system") && said.contains("--journal"), "{said}");
    assert_eq!(endpoint.count(), 0);

    let launch = swept.launch(&endpoint).arg("--journal").arg(journal.display());
    let launch = read_only(launch.arg("--report").arg(report.display()).arg("--json"));
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.count(), 10);
    let written: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(written, printed(&run));
    let list = elsewhere.path().join("j.failed.ndjson");
    assert_eq!(written["failed_lines"], list.display().to_string());
    let list = fs::read_to_string(list).unwrap();
    assert!(list.starts_with("{\"line\":3,") && list.lines().count() == 1, "{list}");
    assert_eq!(fs::read_dir(swept.input().parent().unwrap()).unwrap().count(), 1);
}

/// Where nothing fails there is nothing to list, on read-only media as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_without_failures_needs_no_list() {
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(3);
    let elsewhere = tempfile::tempdir().unwrap();
    let launch = swept.launch(&endpoint).arg("--journal").arg(elsewhere.path().join("j").display());
    let launch = on_read_only_media(launch, swept.input().parent().unwrap());
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert!(!run.stderr().contains("cannot be written"), "{}", run.stderr());
}

/// What cannot be written at the end keeps nothing else from being said, and is a failure.
#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_printed_and_written_whatever_else_fails() {
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    // A folder of that name is in the way for everybody, root included.
    let swept = Swept::new("tokens.txt", text(1..=3));
    let list = swept.beside("tokens.txt.failed.ndjson");
    fs::create_dir(&list).unwrap();
    let report = swept.beside("report.json");
    let launch = swept.launch(&endpoint).arg("--json");
    let (run, status) = launch.clone().arg("--report").arg(report.display()).run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    assert!(
        run.stderr().contains("tokens.txt.failed.ndjson cannot be written"),
        "{}",
        run.stderr()
    );
    let written: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(written, printed(&run));
    let told: BTreeMap<&str, &Value> =
        ["finished", "failed_lines"].map(|name| (name, &written[name])).into();
    assert_eq!(told, [("finished", &Value::Bool(true)), ("failed_lines", &Value::Null)].into());
    fs::remove_dir(&list).unwrap();

    let (run, status) = launch.arg("--report").arg("/nowhere/report.json").run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    assert!(run.stderr().contains("/nowhere/report.json cannot be written"), "{}", run.stderr());
    assert_eq!(printed(&run)["failed_lines"], list.display().to_string());
    assert_eq!(swept.failed().len(), 3);
}
