//! Tests of realistic files: every format, compressed or not, with lines that are no jobs.

use std::{collections::BTreeSet, fs, io::Write as _, os::unix::fs::PermissionsExt as _};

use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};

use super::{Input, counts, ndjson, summary};
use crate::harness::{BULK, Stage, StoredMessage, canary, token};

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &str) -> Vec<u8> {
    compress_to_vec(content.as_bytes(), CompressionLevel::Fastest)
}

/// Publishes a file that must be accepted completely. Returns its jobs by token.
async fn published(
    stage: &Stage,
    name: &'static str,
    content: impl AsRef<[u8]>,
) -> Vec<StoredMessage> {
    let input = Input::new(name, content);
    let (enqueue, status) = input.enqueue(stage).run().await;
    assert_eq!(status.code(), Some(0), "{name}: {}", enqueue.stderr());
    let [read, enqueued, ..] = counts(&enqueue);
    assert_eq!(read, enqueued, "{name}");
    assert_eq!(summary(&enqueue)["finished"], true, "{name}");
    assert!(!input.refused_file().exists(), "{name}");
    stage.amqp.take(BULK, u32::try_from(enqueued).unwrap()).await
}

fn tokens(letters: &[StoredMessage]) -> Vec<String> {
    letters.iter().map(StoredMessage::token).collect()
}

/// The same three tokens in every format, one of them with characters that CSV has to quote.
#[tokio::test(flavor = "multi_thread")]
async fn every_format_is_read() {
    let stage = Stage::new().await;
    let odd = format!("{}, \"quoted\"", token(2));
    let expected = vec![token(0), token(1), odd.clone()];
    let quoted = odd.replace('"', "\"\"");
    let text = format!("{}\n{}\n{odd}\n", token(0), token(1));
    let csv = format!(
        "\u{feff}Id,Refresh_Token,Note\r\n1,{},\r\n2,{},\"two\r\nlines\"\r\n3,\"{quoted}\",ñ\r\n",
        token(0),
        token(1)
    );
    let lines = expected.iter().map(|token| json!({ "refresh_token": token }).to_string());
    let json = lines.collect::<Vec<_>>().join("\n");
    let members = [gzip(&text[..10]), gzip(&text[10..])].concat();
    for (name, content) in [
        ("jobs.ndjson", json.clone().into_bytes()),
        ("jobs.jsonl.gz", gzip(&json)),
        ("leak.csv", csv.clone().into_bytes()),
        ("leak.csv.gz", gzip(&csv)),
        ("leak.csv.zst", zstd(&csv)),
        ("tokens.txt", text.clone().into_bytes()),
        ("tokens.txt.gz", members),
        ("tokens.txt.zst", [zstd(&text[..10]), zstd(&text[10..])].concat()),
    ] {
        assert_eq!(tokens(&published(&stage, name, content).await), expected, "{name}");
    }
}

/// Missing fields are filled in, and nothing else changes.
#[tokio::test(flavor = "multi_thread")]
async fn missing_fields_are_filled_in() {
    let stage = Stage::new().await;
    let input = Input::new(
        "leak.csv",
        format!("refresh_token,username,client_id\n{},,\n{},own,own\n", token(0), token(1)),
    );
    let launch = input.enqueue(&stage).arg("--audience").arg("https://api.example");
    let launch = launch.arg("--client-id").arg("shop").arg("--username").arg("me@example.com");
    let (enqueue, status) = launch.arg("--expires-at").arg("2000000000").run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    let bodies: Vec<Value> = stage
        .amqp
        .take(BULK, 2)
        .await
        .iter()
        .map(|letter| serde_json::from_slice(&letter.body).unwrap())
        .collect();
    let filled = |n, client: &str, user: &str| {
        json!({
            "refresh_token": token(n), "client_id": client, "username": user,
            "audience": "https://api.example", "expires_at": 2_000_000_000,
        })
    };
    assert_eq!(bodies, [filled(0, "shop", "me@example.com"), filled(1, "own", "own")]);
}

/// A line that is no job is listed with its number and reason, and is not published. A duplicate line is published
/// once.
#[tokio::test(flavor = "multi_thread")]
async fn refused_lines_are_listed_and_duplicates_dropped() {
    let stage = Stage::new().await;
    let content = format!(
        "{{\"refresh_token\":\"{0}\"}}\n{0}\n{{\"refresh_token\":[\"{0}\"]}}\n\n\
         {{\"refresh_token\":\"{1}\"}}\n{{\"audience\":null,\"refresh_token\":\"{0}\"}}\n\
         {{\"refresh_token\":\"{1}\",\"x\":\"{2}\"}}\n{{\"refresh_token\":\"{1}\",\"username\":\"u\"}}\n",
        token(0),
        token(1),
        "x".repeat(70_000)
    );
    let input = Input::new("jobs.ndjson", content);
    // One of an earlier run must not be mistaken for this one's.
    fs::write(input.refused_file(), "{\"line\":99}\n").unwrap();
    let (enqueue, status) = input.enqueue(&stage).run().await;
    assert_eq!(status.code(), Some(3), "{}", enqueue.stderr());
    assert_eq!(counts(&enqueue), [7, 3, 3, 1]);
    assert_eq!(summary(&enqueue)["refused_file"], "jobs.ndjson.refused.ndjson");
    let jobs = stage.amqp.take(BULK, 3).await;
    assert_eq!(tokens(&jobs), [token(0), token(1), token(1)]);

    let listed = fs::read_to_string(input.refused_file()).unwrap();
    canary::assert_clean("the list of refused lines", listed.as_bytes());
    let listed: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        listed,
        [
            json!({ "line": 2, "reason": "the body is not valid JSON: the error is at line 1, \
                                          column 1" }),
            json!({ "line": 3, "reason": "the field refresh_token is an array, not a string" }),
            json!({ "line": 7, "reason": "the line has more than 65536 bytes" }),
        ]
    );
    let mode = fs::metadata(input.refused_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Refused lines of standard input are listed in the working directory.
#[tokio::test(flavor = "multi_thread")]
async fn refused_lines_of_standard_input_are_listed_too() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let launch = stage.enqueue().folder(folder.path()).arg("--format").arg("text");
    let launch = launch.input(format!("{}\n{}\tb\n", token(0), token(1)));
    let (enqueue, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", enqueue.stderr());
    let listed = fs::read_to_string(folder.path().join("stdin.refused.ndjson")).unwrap();
    canary::assert_clean("the list of refused lines", listed.as_bytes());
    assert!(listed.starts_with("{\"line\":2,"), "{listed}");
    assert!(enqueue.stdout().contains("stdin.refused.ndjson"), "{}", enqueue.stdout());
    assert_eq!(tokens(&stage.amqp.take(BULK, 1).await), [token(0)]);
}

/// If the list cannot be written, as in a read-only container, every refused line is logged instead, and all jobs are
/// published.
#[tokio::test(flavor = "multi_thread")]
async fn refused_lines_that_cannot_be_listed_are_logged() {
    let stage = Stage::new().await;
    let content = format!("{}\n{}", token(0), "\t\u{1}\n".repeat(50));
    let input = Input::new("tokens.txt", content);
    // A folder of that name prevents the file for every user, including root.
    fs::create_dir(input.refused_file()).unwrap();
    let (enqueue, status) = input.enqueue(&stage).run().await;
    assert_eq!(status.code(), Some(3), "{}", enqueue.stderr());
    assert_eq!(counts(&enqueue), [51, 1, 50, 0]);
    assert_eq!(summary(&enqueue)["refused_file"], Value::Null);
    let refused = enqueue.log_lines().into_iter().filter(|line| line["message"] == "refused");
    let lines: Vec<u64> = refused.map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (2..=51).collect::<Vec<_>>());
    assert_eq!(tokens(&stage.amqp.take(BULK, 1).await), [token(0)]);
}

/// A file of another kind is refused at once. The error names the remedy, and no content of the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_kind_is_refused_whole() {
    let stage = Stage::new().await;
    let row = format!("{};{}", token(0), token(1));
    let array = [b"[\n", &ndjson(0..3)[..], b"\n]"].concat();
    let binary = [token(0).as_bytes(), b"\0\x01\x02"].concat();
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("a.csv", format!("refresh_token;username\r\n{row}\r\n").into(), "semicolons, not commas"),
        ("b.csv", format!("{row}\r\n{row}\r\n").into(), "semicolons, not commas"),
        ("c.csv", format!("{0}\n{0}\n", token(0)).into(), "must be a header row"),
        ("d.csv", b"PK\x03\x04\0\0".to_vec(), "save it as comma-separated CSV"),
        ("e.ndjson", array, "one object per line"),
        ("f.txt", binary, "binary file"),
        ("g.txt", b"\xff\xfec\0".to_vec(), "UTF-16"),
        ("h.dat", ndjson(0..3), "--format"),
        ("i.txt", format!("refresh_token\n{}\n", token(0)).into(), "CSV or NDJSON"),
    ];
    for (name, content, sentence) in cases {
        let input = Input::new(name, content);
        let (enqueue, status) = input.enqueue(&stage).run().await;
        let said = enqueue.stderr();
        assert_eq!(status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(name) && said.contains(sentence), "{name}: {said}");
        assert_eq!(summary(&enqueue)["finished"], false, "{name}");
    }
    for (option, value) in [("--expires-at", "soon"), ("--client-id", ""), ("--rate", "0")] {
        let input = Input::new("jobs.ndjson", ndjson(0..3));
        let (enqueue, status) = input.enqueue(&stage).arg(format!("{option}={value}")).run().await;
        assert_eq!(status.code(), Some(2), "{option}: {}", enqueue.stderr());
    }
    let missing = Input::new("here.ndjson", "");
    fs::remove_file(missing.folder.path().join(missing.name)).unwrap();
    let (enqueue, status) = missing.enqueue(&stage).run().await;
    assert_eq!(status.code(), Some(2), "{}", enqueue.stderr());
    assert!(
        enqueue.stderr().contains("here.ndjson: there is no such file"),
        "{}",
        enqueue.stderr()
    );
    let (enqueue, status) = stage.enqueue().arg(missing.folder.path().display()).run().await;
    assert_eq!(status.code(), Some(2), "{}", enqueue.stderr());
    assert!(enqueue.stderr().contains("it is a directory"), "{}", enqueue.stderr());
    assert_eq!(stage.amqp.depth(BULK).await, None, "it was declared");
}

/// A truncated file: the readable jobs are published, and the command for the rest is printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_off_is_published_up_to_there() {
    let stage = Stage::new().await;
    let text: String = (0..3000).map(|n| token(n) + "\n").collect();
    let content = [&gzip(&text)[..], &gzip(&text)[..200]].concat();
    let input = Input::new("tokens.txt.gz", content);
    let (enqueue, status) = input.enqueue(&stage).run().await;
    assert_eq!(status.code(), Some(1), "{}", enqueue.stderr());
    assert_eq!(summary(&enqueue)["finished"], false);
    let jobs = stage.amqp.take(BULK, 3000).await;
    assert_eq!(tokens(&jobs).into_iter().collect::<BTreeSet<_>>().len(), 3000);
    let next_line = summary(&enqueue)["next_line"].as_u64().unwrap();
    assert!(next_line > 3000, "{next_line}");
    let command = summary(&enqueue)["go_on"].as_str().unwrap().to_owned();
    assert!(command.ends_with(&format!("tokens.txt.gz --from-line {next_line}")), "{command}");
    assert!(enqueue.stderr().contains("cannot be read from line"), "{}", enqueue.stderr());

    let path = input.folder.path().join(input.name);
    let (enqueue, status) = stage.enqueue().arg("--dry-run").arg(path.display()).run().await;
    assert_eq!(status.code(), Some(1), "{}", enqueue.stderr());
    let (enqueue, _) = stage.enqueue().arg(path.display()).run().await;
    let said = enqueue.stdout();
    assert!(said.contains("is finished; repair the rest of the file, and resume with"), "{said}");
}
