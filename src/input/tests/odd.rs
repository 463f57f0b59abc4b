//! Tests of unusual files of other people and programs.

use proptest::prelude::*;

use super::*;

fn numbers(name: &str, content: &str) -> Vec<u64> {
    read(name, content).into_iter().map(|(number, _)| number).collect()
}

/// Lines that end with a carriage return are lines, each with a number of its own, in every format.
#[test]
fn a_carriage_return_ends_a_line() {
    let csv = "refresh_token,x\ra,\rb,\"1\r2\"\r\rc,\r\nd,\n\re,\r";
    assert_eq!(numbers("a.csv", csv), [2, 3, 6, 7, 9]);
    assert_eq!(numbers("a.txt", "a\rb\r\r\nc\n\rd"), [1, 2, 4, 6]);
    let ndjson = "{\"refresh_token\":\"a\"}\r{\"refresh_token\":\"b\"}\r\n[]";
    assert_eq!(numbers("a.ndjson", ndjson), [1, 2, 3]);
}

/// A carriage return alone is found, wherever the reads split the file.
#[test]
fn a_lone_carriage_return_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt.gz");
    let lone = |content: &str| {
        std::fs::write(&path, gzip(content)).unwrap();
        has_lone_returns(&path).unwrap()
    };
    let crlf = "token\r\n".repeat(40_000);
    assert!(!lone("") && !lone("a\n") && !lone("a\r\n") && !lone(&crlf));
    assert!(lone("\r") && lone("a\rb") && lone("\r\r\n"));
    // One read ends between the two bytes.
    assert!(!lone(&format!("x{crlf}")) && !lone(&format!("xy{crlf}")));
    for before in 0..7 {
        let shift = "x".repeat(before);
        assert!(lone(&format!("{shift}{crlf}\r{crlf}")), "{before}");
        assert!(lone(&format!("{shift}{crlf}\r")), "{before}");
    }
    // Unreadable content has given no line a number.
    std::fs::write(&path, &gzip(&crlf)[..200]).unwrap();
    assert!(!has_lone_returns(&path).unwrap());
    assert!(matches!(has_lone_returns(Path::new("/nowhere")), Err(InputOpenError::NotThere)));
}

/// Characters around a token would be sent to the endpoint with it.
#[test]
fn characters_around_a_token_are_refused_in_every_format() {
    let cases = [
        ("t ", Refusal::Surrounded("a space")),
        ("\u{a0}t", Refusal::Surrounded("a no-break space")),
        ("t\u{200b}", Refusal::Surrounded("a zero-width space")),
        ("'t'", Refusal::Quoted),
        ("\u{201c}t\u{201d}", Refusal::Quoted),
    ];
    for (token, refusal) in cases {
        let refused = lines(&[(2, &refusal.to_string())]);
        assert_eq!(read("a.txt", format!("\n{token}\n")), refused, "{token}");
        assert_eq!(read("a.csv", format!("refresh_token\n{token}\n")), refused, "{token}");
        let ndjson = format!("\n{{\"refresh_token\":\"{token}\",\"username\":\" u \"}}\n");
        assert_eq!(read("a.ndjson", &ndjson), refused, "{token}");
        let field_defaults =
            FieldDefaults { client_id: Some("c".to_owned()), ..FieldDefaults::default() };
        let filled = Options { field_defaults, ..Options::default() };
        assert_eq!(read_with("a.ndjson", &ndjson, &filled), refused, "{token}");
    }
}

/// If only the next stray quote closes a quote, the rows between would be lost.
#[test]
fn rows_in_a_stray_quote_are_reported() {
    let swallowed = |opened, last_line| Refusal::Swallowed { opened, last_line }.to_string();
    let rows = |count: usize| "b,\n".repeat(count);
    // Stray quotes that end at the quote of a later field, at the end of the file, or on the same line.
    assert_eq!(
        read("a.csv", "refresh_token,x\na,\"oops\nb,\nc,\"y\"\nd,\n"),
        lines(&[(2, &swallowed(2, 4)), (5, r#"{"refresh_token":"d"}"#)])
    );
    assert_eq!(
        read("a.csv", format!("refresh_token,x\n\"a,\n{}", rows(1000))),
        lines(&[(2, &swallowed(2, 1002))])
    );
    assert_eq!(
        read("a.csv", "refresh_token,x\n\"a\"b,\nc,\n"),
        lines(&[
            (2, &Refusal::StrayQuote { line: 2 }.to_string()),
            (3, r#"{"refresh_token":"c"}"#)
        ])
    );
    // A valid record whose lines are no rows: two quotes, a hundred lines apart.
    let long = |lines: usize| format!("refresh_token,x\na,\"{}\"\nc,\n", "b\n".repeat(lines));
    assert_eq!(read("a.csv", long(99)).len(), 2);
    assert_eq!(read("a.csv", long(99))[0].1, r#"{"refresh_token":"a"}"#);
    assert_eq!(read("a.csv", long(100))[0], (2, swallowed(2, 102)));
    // The record also has too many fields.
    assert_eq!(read("a.csv", "refresh_token,x\n1,\"2\n3\",4\na,\n")[0], (2, swallowed(2, 3)));
}

/// Two stray quotes make a valid record. The rows inside it would be lost silently.
#[test]
fn rows_between_two_stray_quotes_are_reported() {
    let job = |token: &str| format!("{{\"refresh_token\":\"{token}\"}}");
    let swallowed = |opened, last_line| Refusal::Swallowed { opened, last_line }.to_string();
    let (first, last) = (job("t1"), job("t6"));
    // Rows between the two lines, or only the second line; in the last column, or in an earlier one.
    for (header, quoted, last_line) in [
        ("refresh_token,note", "t2,\"\nt3,x\nt4,x\nt5,\"", 6),
        ("refresh_token,note", "t2,\"\r\nt5,\"\r", 4),
        ("refresh_token,note", "t2,\"a\nt5,b\"", 4),
        ("refresh_token,note,username", "t2,\"x,u\nt3,x\",u", 4),
        ("note,refresh_token", "\"x,t2\nx,t3\n\",t5", 5),
        // Rows of the same file may be quoted.
        ("refresh_token,note", "t2,\"\nt3,\"\"\nt4,x\nt5,\"", 6),
        // Other lines are between them as well.
        ("refresh_token,note", "t2,\"\n\n\nt3,x\nremark\nt5,\"", 8),
    ] {
        let (token_first, columns) = (!header.starts_with("note"), header.split(',').count());
        let row = |token: &str| match (token_first, columns) {
            (false, _) => format!("x,{token}"),
            (true, 2) => format!("{token},x"),
            _ => format!("{token},x,"),
        };
        let content = format!("{header}\n{}\n{quoted}\n{}\n", row("t1"), row("t6"));
        let end = content.replace("\r\n", "\n").replace('\r', "\n");
        let t6 = end.lines().position(|line| line.contains("t6")).unwrap() as u64 + 1;
        assert_eq!(
            read("a.csv", content),
            lines(&[(2, &first), (3, &swallowed(3, last_line)), (t6, &last)]),
            "{quoted:?}"
        );
    }
    // With one column, each line is a row, and no token contains a line end.
    assert_eq!(
        read("a.csv", "refresh_token\n\"t2\nt3\nt4\"\nt6\n"),
        lines(&[(2, &swallowed(2, 4)), (5, &last)])
    );
}

/// A field over lines that are no rows is a field.
#[test]
fn a_note_over_lines_is_no_row() {
    let first = r#"{"refresh_token":"a"}"#;
    for (header, note) in [
        ("refresh_token,note", "one\r\n\r\ntwo\n\"\"three\"\""),
        ("refresh_token,note,x", "one\nDear, all\n"),
        ("refresh_token,note,x", "one\n1, 2, 3, 4\n5"),
    ] {
        let rest = if header.ends_with('x') { ",y" } else { "" };
        let content = format!("{header}\na,\"{note}\"{rest}\n");
        assert_eq!(read("a.csv", content), lines(&[(2, first)]), "{note:?}");
    }
}

/// The number of lines of the worst file in practice.
#[test]
fn a_quote_over_a_whole_file_is_reported_with_its_lines() {
    let rest = "token-of-a-user,user@example.com\r\n".repeat(99_002);
    let content = format!("refresh_token,username\r\nfirst,u\r\n\"second,u\r\n{rest}");
    let read = read("leak.csv", content);
    assert_eq!(read.len(), 2);
    let told = &read[1].1;
    assert!(
        told.contains("opens on line 3 ") && told.contains(" line 99005: 99002 lines"),
        "{told}"
    );
}

#[test]
fn a_line_knows_how_far_it_goes() {
    let csv = "refresh_token,x\na,\"1\r\n2\n3\"\nb,\n";
    let (_folder, lines) = open_file("a.csv", csv.as_bytes(), &Options::default());
    let spans: Vec<_> =
        lines.unwrap().map(Result::unwrap).map(|line| (line.number, line.last_line)).collect();
    assert_eq!(spans, [(2, 4), (5, 5)]);
}

fn csv_options(columns: &[&str], delimiter: Option<Delimiter>) -> Options {
    let columns: Vec<Column> = columns.iter().map(|column| column.parse().unwrap()).collect();
    Options { columns: columns.into(), delimiter, ..Options::default() }
}

#[test]
fn other_columns_and_delimiters_are_read_by_options() {
    let job = |token: &str| format!("{{\"refresh_token\":\"{token}\",\"username\":\"u\"}}");
    let columns = ["refresh_token=Leaked Token", "username=mail"];
    for (delimiter, byte) in [
        (None, ','),
        (Some(Delimiter::Semicolon), ';'),
        (Some(Delimiter::Tab), '\t'),
        (Some(Delimiter::Bar), '|'),
    ] {
        let content = "sep=;\nrefresh_token;leaked token;Mail\nhash;a,b;u\nhash;\"c;d\";u\n";
        let content = content.replace("a,b", "a.b").replace(';', &byte.to_string());
        let read = read_with("leak.csv", content, &csv_options(&columns, delimiter));
        // A tab inside a field is no part of a token, even in quotes.
        let second = match delimiter {
            Some(Delimiter::Tab) => Refusal::ControlCharacter("refresh_token").to_string(),
            _ => job(&format!("c{byte}d")),
        };
        assert_eq!(read, lines(&[(3, &job("a.b")), (4, &second)]), "{byte}");
    }
    // Options about columns imply that the file has columns.
    let tabs = csv_options(&[], Some(Delimiter::Tab));
    assert_eq!(read_with("leak.tsv", "refresh_token\tx\na\t\n", &tabs).len(), 1);
    let folder_and_lines = open_file("leak.txt", b"a\n", &tabs);
    assert!(matches!(folder_and_lines.1, Err(InputOpenError::NoColumns(InputFormat::Text))));
    let twice = csv_options(&["username=a", "client_id=a"], None);
    assert!(matches!(open_file("a.csv", b"a\n", &twice).1, Err(InputOpenError::Columns(_))));
}

/// What is around a token has to be removed, also a tab. A tab inside shows columns, and line ends may hide rows.
#[test]
fn a_tab_around_a_token_is_refused_like_any_blank() {
    let kinds = |name: &str, content: &str| -> Vec<_> {
        let (_folder, lines) = open_file(name, content.as_bytes(), &Options::default());
        let kinds = lines.unwrap().map(|line| match line.unwrap().kind {
            LineKind::Refused(refusal) => refusal.label(),
            _ => "job",
        });
        kinds.collect()
    };
    let cells = ["\ta", "a\t", " a\t", "\u{b}a", "a\u{85}", "\t\"a\"", "'a\tb'"];
    for cell in cells {
        assert_eq!(kinds("a.txt", &format!("t\n{cell}\n")), ["job", "odd_token"], "{cell:?}");
        let cell = cell.replace('"', "\"\"");
        let csv = format!("refresh_token,x\n\"{cell}\",\n");
        assert_eq!(kinds("a.csv", &csv), ["odd_token"], "{cell:?}");
    }
    assert_eq!(kinds("a.txt", "a\tb\n"), ["bad_text"]);
    assert_eq!(kinds("a.csv", "refresh_token,username\na,\tu\n"), ["bad_text"]);
    assert_eq!(kinds("a.csv", "refresh_token,x\n\"a\n\",\n"), ["stray_quote"]);
    let read = read("a.txt", "a\t\n");
    assert!(read[0].1.contains("ends with a tab; remove it"), "{read:?}");
}

#[test]
fn a_blank_around_a_token_counts_before_its_length() {
    let longest = "t".repeat(JobDefaults::default().token_max);
    let read = read("a.txt", format!("{longest}\n{longest} \n{longest}t\n"));
    assert!(read[0].1.starts_with('{'), "{}", read[0].1);
    assert_eq!(read[1].1, Refusal::Surrounded("a space").to_string());
    assert!(read[2].1.contains("characters, the limit is"), "{}", read[2].1);
}

/// A second header row is also recognized by the given names.
#[test]
fn a_second_header_row_is_known_by_the_given_names() {
    let options = csv_options(&["refresh_token=token"], None);
    let read = read_with("a.csv", "token,x\na,\nTOKEN,y\nb,\n", &options);
    assert_eq!(read[1], (3, Refusal::HeaderRow.to_string()));
    assert_eq!(read.len(), 3);
}

/// Memory and nesting depth are bounded for any file, also for JSON lines with defaults to fill in.
#[test]
fn deep_json_is_refused() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{\"refresh_token\":\"a\",\"x\":{open}{close},\"username\":{open}{close}}}\n")
    };
    let field_defaults =
        FieldDefaults { client_id: Some("c".to_owned()), ..FieldDefaults::default() };
    for options in [Options::default(), Options { field_defaults, ..Options::default() }] {
        let read = read_with("a.ndjson", deep(15_000), &options);
        assert!(read[0].1.contains("not valid JSON"), "{read:?}");
    }
}

proptest! {
    /// Any file is read to its end. The line numbers grow strictly and match those of an editor.
    #[test]
    fn numbers_grow_strictly_in_any_file(
        name in proptest::sample::select(vec!["a.csv", "a.txt", "a.ndjson"]),
        content in "(a|,|\"|\r|\n|\u{feff}| |\\{|\\}|\"refresh_token\"|refresh_token|\\{\"refresh_token\":\"t\"\\}){0,40}",
    ) {
        let header = if name == "a.csv" { "refresh_token,x\r" } else { "t\r" };
        let content = format!("{header}{content}");
        let editor = content.replace("\r\n", "\n").replace('\r', "\n").lines().count() as u64;
        let (_folder, lines) = open_file(name, content.as_bytes(), &Options::default());
        let mut last = 0;
        for line in lines.into_iter().flatten() {
            let line = line.unwrap();
            prop_assert!(last < line.number, "{} behind {last}", line.number);
            prop_assert!(line.number <= line.last_line && line.last_line <= editor);
            last = line.last_line;
        }
    }
}
