//! Tests of files that were joined from others.

use super::*;

/// The number of every line, and whether a byte order mark precedes it.
fn marks(name: &str, content: &str) -> Vec<(u64, bool)> {
    let (_folder, lines) = open_file(name, content.as_bytes(), &Options::default());
    lines.unwrap().map(Result::unwrap).map(|line| (line.number, line.marked)).collect()
}

/// A byte order mark at the beginning of a line is removed and reported, like the one at the beginning of the file.
#[test]
fn a_byte_order_mark_in_the_middle_is_left_out_and_reported() {
    for (name, content, marked) in [
        ("a.txt", "\u{feff}a\n\u{feff}b\nc\n", vec![(1, false), (2, true), (3, false)]),
        ("a.txt", "a\n\u{feff}\u{feff}b", vec![(1, false), (2, true)]),
        (
            "a.ndjson",
            "{\"refresh_token\":\"a\"}\r\n\u{feff}{\"refresh_token\":\"b\"}\r\n",
            vec![(1, false), (2, true)],
        ),
        ("a.csv", "refresh_token,x\na,\n\u{feff}\"b\",\n", vec![(2, false), (3, true)]),
        ("a.csv", "x,refresh_token\n1,a\n\u{feff}2,b\n", vec![(2, false), (3, true)]),
    ] {
        assert_eq!(marks(name, content), marked, "{name}");
        let jobs = read(name, content).into_iter().map(|(_, job)| job);
        let expected = ["a", "b", "c"].map(|token| format!("{{\"refresh_token\":\"{token}\"}}"));
        assert_eq!(jobs.collect::<Vec<_>>(), expected[..marked.len()], "{name}");
    }
}

/// If the first file has no final line end, two tokens are on one line, which is no valid token.
#[test]
fn two_tokens_that_run_into_each_other_are_refused() {
    let invisible = Refusal::Invisible("a byte order mark").to_string();
    assert_eq!(read("a.txt", "a\u{feff}b\nc\n")[0], (1, invisible.clone()));
    let csv = "x,refresh_token\n1,a\u{feff}x,refresh_token\n2,b\n";
    let width = Refusal::Width { found: 3, expected: 2 };
    assert_eq!(read("a.csv", csv)[0], (2, width.to_string()));
    assert_eq!(read("a.csv", "refresh_token\na\u{feff}refresh_token\n")[0], (2, invisible));
}

/// A repeated header row would be called as if its name were a token.
#[test]
fn a_second_header_row_is_refused_as_a_line() {
    let header = Refusal::HeaderRow.to_string();
    let csv = "id,Refresh_Token\n1,a\n\u{feff}id,\"refresh_token\" \n2,b\nID,REFRESH_TOKEN\n3,c\n";
    assert_eq!(
        read("a.csv", csv),
        lines(&[
            (2, r#"{"refresh_token":"a"}"#),
            (3, &header),
            (4, r#"{"refresh_token":"b"}"#),
            (5, &header),
            (6, r#"{"refresh_token":"c"}"#),
        ])
    );
    let text = "a\nrefresh_token\n\"Refresh_Token\"\nrefresh_tokens\nmy refresh_token\n";
    assert_eq!(
        read("a.txt", text),
        lines(&[
            (1, r#"{"refresh_token":"a"}"#),
            (2, &header),
            (3, &header),
            (4, r#"{"refresh_token":"refresh_tokens"}"#),
            (5, r#"{"refresh_token":"my refresh_token"}"#),
        ])
    );
    assert_eq!(read("a.ndjson", r#"{"refresh_token":"refresh_token"}"#), lines(&[(1, &header)]));
}

/// Below a header row with other columns, the columns are unknown: a user's name might be called as a token.
#[test]
fn rows_below_another_header_row_are_refused() {
    let csv = "refresh_token,username\na,u\nusername,refresh_token\nv,b\n\nw,c\n\
               refresh_token,username\nd,x\n";
    let other = Refusal::OtherColumns { line: 3 }.to_string();
    assert_eq!(
        read("a.csv", csv),
        lines(&[
            (2, r#"{"refresh_token":"a","username":"u"}"#),
            (3, &Refusal::OtherHeaderRow.to_string()),
            (4, &other),
            (6, &other),
            (7, &Refusal::HeaderRow.to_string()),
            (8, r#"{"refresh_token":"d","username":"x"}"#),
        ])
    );
}

/// In a file of tokens, each line below the header row of a table is a row. If the row were called as a token,
/// it would be rejected, and the token in it would stay valid.
#[test]
fn rows_of_a_table_are_no_tokens() {
    let (header, row) = (Refusal::TableHeader.to_string(), Refusal::TableRow { line: 2 });
    let row = row.to_string();
    assert!(header.contains("--format csv") && row.contains("--format csv"));
    for delimiter in [",", ";", "\t", "|"] {
        let text = "\nrefresh_token,username\nt1,u1\n\nt2,u2\nrefresh_token\nt3\n";
        assert_eq!(
            read("a.txt", text.replace(',', delimiter)),
            lines(&[
                (2, &header),
                (3, &row),
                (5, &row),
                (6, &Refusal::HeaderRow.to_string()),
                (7, r#"{"refresh_token":"t3"}"#),
            ]),
            "{delimiter:?}"
        );
    }
}

/// Members of gzip and frames of zstd that were joined, each with its own byte order mark and header row.
#[test]
fn joined_files_may_be_packed() {
    let parts = ["\u{feff}refresh_token\r\na\r\n", "\u{feff}refresh_token\r\nb\r\n"];
    for (name, content) in
        [("a.csv.gz", parts.map(gzip).concat()), ("a.csv.zst", parts.map(zstd).concat())]
    {
        let expected = [
            (2, r#"{"refresh_token":"a"}"#),
            (3, &Refusal::HeaderRow.to_string()),
            (4, r#"{"refresh_token":"b"}"#),
        ];
        assert_eq!(read(name, content), lines(&expected), "{name}");
    }
}
