use std::io::{BufReader, Read as _};

use proptest::prelude::*;

use super::*;

type Found = (u64, u64, Option<Vec<String>>);

/// Every record of a text that is read in pieces of `buffer` bytes.
fn extents(text: &[u8], buffer: usize) -> Vec<(Extent, Vec<String>)> {
    let mut csv = CsvRecords::new(BufReader::with_capacity(buffer, text), b',');
    let mut found = Vec::new();
    while let Some(extent) = csv.next().unwrap() {
        let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
        found.push((extent, csv.fields(extent).map(text).collect()));
    }
    found
}

/// The first line, the last line and the fields of every record.
fn records(text: &[u8], buffer: usize) -> Vec<Found> {
    let found = |(extent, fields): (Extent, Vec<String>)| {
        (extent.first_line, extent.last_line, extent.fields.map(|_| fields))
    };
    extents(text, buffer).into_iter().map(found).collect()
}

fn record(first_line: u64, last_line: u64, fields: &[&str]) -> Found {
    (first_line, last_line, Some(fields.iter().map(ToString::to_string).collect()))
}

#[test]
fn records_know_their_lines() {
    for buffer in [1, 2, 3, 5, 64] {
        assert_eq!(records(b"", buffer), []);
        assert_eq!(records(b"\r\n\n", buffer), []);
        assert_eq!(
            records(b"a,b\n\n\nc,\"d\ne\r\nf\"\r\ng,\r\n\"h\"\"i\",\"j,k\"", buffer),
            [
                record(1, 1, &["a", "b"]),
                record(4, 6, &["c", "d\ne\r\nf"]),
                record(7, 7, &["g", ""]),
                record(8, 8, &["h\"i", "j,k"]),
            ],
            "{buffer}"
        );
    }
}

/// A carriage return alone ends a line, in quotes and outside, as in editors.
#[test]
fn a_carriage_return_alone_ends_a_line() {
    for buffer in [1, 2, 3, 5, 64] {
        assert_eq!(
            records(b"a\rb\r\nc\r\r\r\nd,\"e\rf\r\ng\"\rh\n\ri", buffer),
            [
                record(1, 1, &["a"]),
                record(2, 2, &["b"]),
                record(3, 3, &["c"]),
                record(6, 8, &["d", "e\rf\r\ng"]),
                record(9, 9, &["h"]),
                record(11, 11, &["i"]),
            ],
            "{buffer}"
        );
    }
}

#[test]
fn a_too_long_record_is_skipped_to_its_end() {
    let most = "x".repeat(MAX_BODY_BYTES);
    let wide = ",".repeat(MAX_FIELDS);
    let text = format!("a\n{most}y\nb\n{wide}\nc\n\"{most}\n{most}\"\nd\n\"never\nclosed{most}");
    assert_eq!(
        records(text.as_bytes(), 4096),
        [
            record(1, 1, &["a"]),
            (2, 2, None),
            record(3, 3, &["b"]),
            (4, 4, None),
            record(5, 5, &["c"]),
            (6, 7, None),
            record(8, 8, &["d"]),
            (9, 10, None),
        ]
    );
}

#[test]
fn an_endless_field_is_not_held() {
    let endless = b"\"".chain(io::repeat(b'x').take(100 * MAX_BODY_BYTES as u64));
    let mut csv = CsvRecords::new(BufReader::new(endless), b',');
    let extent = csv.next().unwrap().unwrap();
    assert_eq!((extent.first_line, extent.last_line, extent.fields), (1, 1, None));
    assert_eq!(csv.content.len(), MAX_BODY_BYTES);
    assert_eq!(csv.next().unwrap(), None);
}

/// Compares the line of the stray quote of each record.
#[test]
fn a_stray_quote_is_known_by_its_line() {
    let cases: [(&str, &[Option<u64>]); 11] = [
        ("a\n\"b\"\n\"c\"\"\",\"d\ne\"\n", &[None, None, None]),
        ("a\n\nb,\"oops\nc,d\ne,f\n", &[None, Some(3)]),
        ("\"a\n\"", &[None]),
        ("\"a\n", &[Some(1)]),
        ("\"", &[Some(1)]),
        // The record ends at the quote that opens the next field.
        ("a,\"oops\nb,x\nc,\"y\"\nd,e\n", &[Some(1), None]),
        ("a,\"b\",\"oops\rc,\"d\"\re,f", &[Some(1), None]),
        ("\"a\" ,b\nc,d", &[None, None]),
        ("a,\"oops\nb,x\nc,\" y\"\n", &[Some(1)]),
        // A quote inside an unquoted field is content.
        ("a\"b,c\"\nd, \"e\"\n", &[None, None]),
        ("\"a\"\"\n\"\"b\"\n\"c\"\n", &[None, None]),
    ];
    for (text, expected) in cases {
        for buffer in [1, 3, 64] {
            let found = extents(text.as_bytes(), buffer);
            let stray: Vec<_> = found.iter().map(|(extent, _)| extent.stray).collect();
            assert_eq!(stray, expected, "{text:?} in pieces of {buffer}");
        }
    }
}

#[test]
fn a_byte_order_mark_in_front_of_a_record_is_no_part_of_it() {
    let text = "a,b\n\u{feff}\"c\",d\n\u{feff}\r\n\u{feff}e,\u{feff}f\n\u{fee5},g\n\u{feff}";
    for buffer in [1, 2, 3, 5, 64] {
        let found = extents(text.as_bytes(), buffer);
        let found: Vec<_> = found
            .iter()
            .map(|(extent, fields)| (extent.first_line, extent.marked, fields.join("|")))
            .collect();
        let expected = [
            (1, false, "a|b".to_owned()),
            (2, true, "c|d".to_owned()),
            (4, true, "e|\u{feff}f".to_owned()),
            (5, false, "\u{fee5}|g".to_owned()),
        ];
        assert_eq!(found, expected, "{buffer}");
    }
}

#[test]
fn fields_are_split_at_the_given_delimiter() {
    let mut csv = CsvRecords::new(&b"a;b,c;\"d;e\"\n"[..], b';');
    let extent = csv.next().unwrap().unwrap();
    assert_eq!(csv.fields(extent).collect::<Vec<_>>(), [&b"a"[..], b"b,c", b"d;e"]);
    assert_eq!(extent.stray, None);
}

proptest! {
    /// The bytes may come in any pieces, and the lines of the records cover the file in order.
    #[test]
    fn records_do_not_depend_on_the_buffer(text in "[a,\"\r\n]{0,40}", buffer in 1..9usize) {
        let expected = records(text.as_bytes(), 4096);
        prop_assert_eq!(&records(text.as_bytes(), buffer), &expected);
        let lines = text.replace("\r\n", "\n").replace('\r', "\n").lines().count() as u64;
        let mut last = 0;
        for (first_line, last_line, _) in expected {
            prop_assert!(last < first_line);
            prop_assert!(first_line <= last_line);
            prop_assert!(last_line <= lines);
            last = last_line;
        }
    }

    /// The parser and the check for stray quotes treat quotes alike: a text without stray quotes is read
    /// unchanged.
    #[test]
    fn sound_quotes_are_never_taken_for_stray_ones(
        fields in proptest::collection::vec("[a,\"\r\n]{1,6}", 1..8),
    ) {
        let quoted = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
        let text = quoted.collect::<Vec<_>>().join(",");
        let found = extents(text.as_bytes(), 7);
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].0.stray, None);
        prop_assert_eq!(&found[0].1, &fields);
    }
}
