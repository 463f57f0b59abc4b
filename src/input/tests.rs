use std::{io::Write as _, ops::Range, path::PathBuf};

use flate2::{Compression, write::GzEncoder};

use super::{header::HeaderFault, sniff::NotText, *};
use crate::domain::{ExpiryFault, InvalidJob, MAX_BODY_BYTES, TimeUnit};

mod joined;
mod odd;

/// Opens a file of this name and content. Returns the lines and the file's folder.
fn open_file(
    name: &str,
    content: &[u8],
    options: &Options,
) -> (tempfile::TempDir, Result<InputLines, InputOpenError>) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let lines = open(&path, options);
    (folder, lines)
}

/// Every line of a file: its number, and its job's JSON, `=` for a duplicate, or the refusal's text.
fn read_with(name: &str, content: impl AsRef<[u8]>, options: &Options) -> Vec<(u64, String)> {
    let (_folder, lines) = open_file(name, content.as_ref(), options);
    let shown = |kind| match kind {
        LineKind::Job(entry) => String::from_utf8(entry.body.expose_secret().to_vec()).unwrap(),
        LineKind::Duplicate(_) => "=".to_owned(),
        LineKind::Refused(refusal) => refusal.to_string(),
    };
    lines.unwrap().map(Result::unwrap).map(|line| (line.number, shown(line.kind))).collect()
}

fn read(name: &str, content: impl AsRef<[u8]>) -> Vec<(u64, String)> {
    read_with(name, content, &Options::default())
}

fn fault(name: &str, content: impl AsRef<[u8]>) -> InputOpenError {
    open_file(name, content.as_ref(), &Options::default()).1.unwrap_err()
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &str) -> Vec<u8> {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    compress_to_vec(content.as_bytes(), CompressionLevel::Fastest)
}

fn lines(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
}

#[test]
fn ndjson_is_passed_on_byte_for_byte() {
    let content = "{\"refresh_token\" : \"a\", \"note\":1}\n\n  {\"refresh_token\":\"b\"}\r\n\
                   no job\n{\"refresh_token\":\"a\"}";
    assert_eq!(
        read("jobs.ndjson", content),
        lines(&[
            (1, "{\"refresh_token\" : \"a\", \"note\":1}"),
            (3, "{\"refresh_token\":\"b\"}"),
            (4, "the body is not valid JSON: the error is at line 1, column 2"),
            (5, "="),
        ])
    );
}

#[test]
fn text_is_one_token_a_line() {
    assert_eq!(
        read("leak.txt", "two words\r\n\nq\"uote\n \t\na\tb\n 'quote\nq\"uote\n\u{ff}"),
        lines(&[
            (1, r#"{"refresh_token":"two words"}"#),
            (3, r#"{"refresh_token":"q\"uote"}"#),
            (5, &Refusal::ControlCharacter("refresh_token").to_string()),
            (6, &Refusal::Surrounded("a space").to_string()),
            (7, "="),
            (8, r#"{"refresh_token":"ÿ"}"#),
        ])
    );
    let latin = read("leak.txt", b"abc\xff\n");
    assert_eq!(latin, lines(&[(1, &Refusal::NotUtf8("refresh_token").to_string())]));
}

#[test]
fn csv_is_read_as_spreadsheets_write_it() {
    let content = "\u{feff}id,Refresh_Token,expires_at,note,username\r\n\
                   1,\"a,\"\"b\"\"\",1700000000,\"two\r\nlines\",me@example.com\r\n\
                   2,c,2030-01-01T00:00:00Z,,\r\n\
                   ,,,,\r\n\
                   \r\n\
                   3,,,,\r\n\
                   4,c,soon,,\r\n\
                   5,d\r\n\
                   6,\"e\r\nf\",,,\r\n";
    assert_eq!(
        read("leak.csv", content),
        lines(&[
            (
                2,
                r#"{"refresh_token":"a,\"b\"","username":"me@example.com","expires_at":1700000000}"#
            ),
            (4, r#"{"refresh_token":"c","expires_at":"2030-01-01T00:00:00Z"}"#),
            (7, &InvalidJob::Missing("refresh_token").to_string()),
            (8, &InvalidJob::Expiry(ExpiryFault::NotATime).to_string()),
            (9, &Refusal::Width { found: 2, expected: 5 }.to_string()),
            (10, &Refusal::Swallowed { opened: 10, last_line: 11 }.to_string()),
        ])
    );
}

/// An unclosed quote must not look like the end of the file.
#[test]
fn lines_in_an_open_quote_are_reported() {
    let swallowed = "more,tokens\n".repeat(MAX_BODY_BYTES / 8);
    let content = format!("refresh_token,note\na,\nb,\"oops\n{swallowed}");
    let last_line = 3 + (MAX_BODY_BYTES / 8) as u64;
    assert_eq!(
        read("leak.csv", content),
        lines(&[
            (2, r#"{"refresh_token":"a"}"#),
            (3, &Refusal::Swallowed { opened: 3, last_line }.to_string()),
        ])
    );
}

#[test]
fn compressed_files_are_read_as_they_are() {
    let expected = lines(&[(1, r#"{"refresh_token":"a"}"#), (2, r#"{"refresh_token":"b"}"#)]);
    let members = [gzip("a\n"), gzip("b\n")].concat();
    assert_eq!(read("leak.txt.gz", &members), expected);
    // Some transports decompress a file and keep its name, others compress it and keep its name.
    assert_eq!(read("leak.txt", &members), expected);
    assert_eq!(read("leak.txt.gz", "a\nb\n"), expected);
    assert_eq!(read("leak.txt.zst", [zstd("a\n"), zstd("b")].concat()), expected);
    let marked = zstd("\u{feff}refresh_token\r\n\"a\"\r\n");
    assert_eq!(read("leak.csv.zst", marked), lines(&[(2, r#"{"refresh_token":"a"}"#)]));
}

/// Lines before the error are returned. The error names the first missing line.
#[test]
fn a_file_that_is_cut_short_is_read_up_to_there() {
    let tokens = |range: Range<u32>| {
        let lines: Vec<String> = range.map(|n| format!("token-{n}\n")).collect();
        lines.concat()
    };
    let (first, second) = (tokens(0..20_000), tokens(20_000..40_000));
    for (name, whole) in [
        ("leak.txt.gz", [gzip(&first), gzip(&second)].concat()),
        ("leak.txt.zst", [zstd(&first), zstd(&second)].concat()),
    ] {
        let (_folder, lines) = open_file(name, &whole[..whole.len() - 10], &Options::default());
        let mut lines = lines.unwrap();
        let mut last = 0;
        let error = loop {
            match lines.next().expect("the fault is told") {
                Ok(line) => last = line.number,
                Err(error) => break error,
            }
        };
        assert_eq!(error.line, last + 1, "{name}");
        assert!((20_000..40_000).contains(&last), "{name}: {last}");
        assert!(lines.next().is_none(), "{name}");
    }
}

#[test]
fn a_file_without_a_line_is_refused() {
    let blank = ["", "\u{feff}", "\r\n\r\r\n", "\u{feff}\n\u{feff}"];
    for name in ["a.ndjson", "a.csv", "a.txt", "a.csv.gz", "a.txt.zst"] {
        for content in blank {
            assert!(
                matches!(fault(name, content), InputOpenError::NoRecord),
                "{name}: {content:?}"
            );
            assert!(
                matches!(fault(name, gzip(content)), InputOpenError::NoRecord),
                "{name}, packed"
            );
        }
    }
    for content in ["refresh_token", "refresh_token,x\r\n\r\n,\r\n", "sep=,\nrefresh_token\n"] {
        assert!(matches!(fault("a.csv", content), InputOpenError::NoRecord), "{content:?}");
    }
    assert!(matches!(fault("a.txt", " \n\t\n"), InputOpenError::NoRecord));
}

#[test]
fn a_file_of_another_kind_is_refused_whole() {
    assert!(matches!(fault("leak.dat", "a"), InputOpenError::UnknownFormat));
    assert!(matches!(fault("a.txt", b"\x7fELF\x02\0"), InputOpenError::NotText(NotText::Binary)));
    assert!(matches!(fault("a.csv", b"PK\x03\x04\x14"), InputOpenError::NotText(NotText::Zip)));
    assert!(matches!(
        fault("a.csv", "refresh_token;username\r\na;b\r\n"),
        InputOpenError::Header(HeaderFault::Divided {
            by: Delimiter::Semicolon,
            not: Delimiter::Comma
        })
    ));
    assert!(matches!(
        fault("a.csv", format!("\"refresh_token{}", "x".repeat(MAX_BODY_BYTES))),
        InputOpenError::Header(HeaderFault::TooLong)
    ));
    for document in ["[\n{\"refresh_token\":\"a\"}\n]", " [{}]", "{\n  \"refresh_token\": \"a\"\n}"]
    {
        assert!(matches!(fault("a.json", document), InputOpenError::NotPerLine), "{document}");
    }
    for structured in ["Refresh_Token,note\na,\n", "{\"refresh_token\":\"a\"}"] {
        assert!(matches!(fault("a.txt", structured), InputOpenError::NotTokens), "{structured}");
    }
    let missing = open(Path::new("/nowhere/leak.csv"), &Options::default()).unwrap_err();
    assert!(matches!(missing, InputOpenError::NotThere));
    let folder = tempfile::tempdir().unwrap();
    let directory = open(folder.path(), &Options::default()).unwrap_err();
    assert!(matches!(directory, InputOpenError::Directory));
}

#[test]
fn defaults_replace_missing_fields() {
    let field_defaults = FieldDefaults {
        audience: Some("aud".to_owned()),
        client_id: Some("shop".to_owned()),
        username: None,
        expires_at: Some("2000000000".to_owned()),
    };
    let options = Options { field_defaults, ..Options::default() };
    let content = r#"{"refresh_token":"a"}
{"x": [ 1 ],"refresh_token":"b","audience":null,"client\u005fid":"own","expires_at":"2030-01-01T00:00:00Z"}
{"refresh_token":"c","audience":null,"audience":null}
{"refresh_token":7}
[]
{}"#;
    let filled = r#","audience":"aud","client_id":"shop","expires_at":2000000000}"#;
    assert_eq!(
        read_with("a.ndjson", content, &options),
        lines(&[
            (1, &format!(r#"{{"refresh_token":"a"{filled}"#)),
            (
                2,
                r#"{"x":[ 1 ],"refresh_token":"b","audience":"aud","client_id":"own","expires_at":"2030-01-01T00:00:00Z"}"#
            ),
            (3, "a field of the job occurs twice (line 1, column 47)"),
            (4, &InvalidJob::NotAString("refresh_token", "a number").to_string()),
            (5, &InvalidJob::NotAnObject.to_string()),
            (6, &InvalidJob::Missing("refresh_token").to_string()),
        ])
    );
    assert_eq!(
        read_with("a.csv", "refresh_token,client_id\na,\nb,own\n", &options),
        lines(&[
            (2, &format!(r#"{{"refresh_token":"a"{filled}"#)),
            (
                3,
                r#"{"refresh_token":"b","client_id":"own","audience":"aud","expires_at":2000000000}"#
            ),
        ])
    );
    assert_eq!(
        read_with("a.txt", "a\na\n", &options),
        lines(&[(1, &format!(r#"{{"refresh_token":"a"{filled}"#)), (2, "=")])
    );
}

#[test]
fn a_fill_that_no_job_may_have_is_refused_at_once() {
    let long = "x".repeat(101);
    let expiring = |time: &str, fault| {
        let field_defaults =
            FieldDefaults { expires_at: Some(time.to_owned()), ..FieldDefaults::default() };
        (field_defaults, InvalidJob::Expiry(fault))
    };
    let cases = [
        (
            FieldDefaults { username: Some(long), ..FieldDefaults::default() },
            InvalidJob::TooLong("username", 101, 100),
        ),
        (
            FieldDefaults { client_id: Some(String::new()), ..FieldDefaults::default() },
            InvalidJob::Blank("client_id"),
        ),
        expiring("soon", ExpiryFault::NotATime),
        expiring("0", ExpiryFault::Zero),
        expiring("-1", ExpiryFault::Negative),
        expiring("3600", ExpiryFault::Lifetime),
        expiring("0001-01-01T00:00:00Z", ExpiryFault::EarlyDate),
        expiring("2000000000000", ExpiryFault::Unit(TimeUnit::Milliseconds)),
    ];
    for (field_defaults, expected) in cases {
        let options = Options { field_defaults, ..Options::default() };
        match open_file("a.txt", b"a", &options).1 {
            Err(InputOpenError::FieldDefault(fault)) => assert_eq!(fault, expected),
            other => panic!("{other:?}"),
        }
    }
}

/// Jobs are duplicates if the worker's defaults make them the same call.
#[test]
fn defaults_decide_about_duplicates_and_stay_out_of_the_job() {
    let defaults = JobDefaults {
        audience: "aud".into(),
        client_id: Some("shop".into()),
        ..JobDefaults::default()
    };
    let options = Options { defaults, ..Options::default() };
    let content = "refresh_token,audience,client_id\na,,\na,aud,shop\na,other,\n";
    assert_eq!(
        read_with("a.csv", content, &options),
        lines(&[
            (2, r#"{"refresh_token":"a"}"#),
            (3, "="),
            (4, r#"{"refresh_token":"a","audience":"other"}"#),
        ])
    );
}

#[test]
fn lines_can_be_skipped() {
    let csv = "refresh_token,note\na,\n\nb,\"two\nlines\"\nc,\na,\na,\n";
    for (from, skipped, first) in
        [(0, 0, 2), (1, 0, 2), (2, 0, 2), (3, 1, 4), (5, 2, 6), (6, 2, 6), (7, 3, 7)]
    {
        let (_folder, lines) = open_file("a.csv", csv.as_bytes(), &Options::default());
        let mut lines = lines.unwrap();
        assert_eq!(lines.skip_before(from).unwrap(), skipped, "from {from}");
        let rest: Vec<InputLine> = lines.map(Result::unwrap).collect();
        assert_eq!(rest[0].number, first, "from {from}");
        // A skipped line is not remembered, so its duplicate is a job.
        assert!(matches!(rest[0].kind, LineKind::Job(_)), "from {from}");
        assert!(matches!(rest.last().unwrap().kind, LineKind::Duplicate(_)), "from {from}");
    }
    let (_folder, lines) = open_file("a.csv", csv.as_bytes(), &Options::default());
    let mut lines = lines.unwrap();
    assert_eq!(lines.skip_before(99).unwrap(), 5);
    assert!(lines.next().is_none());
}

#[test]
fn nothing_shows_a_token() {
    let (_folder, lines) =
        open_file("a.txt", b"secret-token\nsecret\ttoken\n", &Options::default());
    let mut lines = lines.unwrap();
    let before = format!("{lines:?}");
    let shown = format!("{before}{:?}", lines.by_ref().collect::<Vec<_>>());
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("REDACTED"), "{shown}");
}

#[test]
fn progress_is_reported_in_bytes_of_the_file() {
    let content = gzip("a\nb\n");
    let (_folder, lines) = open_file("a.txt.gz", &content, &Options::default());
    let mut lines = lines.unwrap();
    let progress = lines.progress();
    assert_eq!(progress.total, Some(content.len() as u64));
    assert_eq!(lines.by_ref().count(), 2);
    assert_eq!(progress.read(), content.len() as u64);
}
