use lapin::{
    protocol::{basic::parse_properties, parse_class},
    types::AMQPValue,
};

use super::{table::MAX_DEPTH, *};

/// Bytes that are not UTF-8, like a binary UUID in a message id.
const NO_TEXT: &[u8] = b"a\xff\xc3b\xe2\x82";
const MENDED_TEXT: &[u8] = b"a??b??";

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// Bytes behind their length.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// An entry of a table: its value stands behind its type.
fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&short(name)[..], value].concat()
}

/// A value that holds others.
fn holding(kind: u8, entries: &[u8]) -> Vec<u8> {
    [&[kind], &counted(entries)[..]].concat()
}

/// A content header with these flags and properties.
fn header(flags: u16, properties: &[u8]) -> Vec<u8> {
    [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], &flags.to_be_bytes()[..], properties].concat()
}

/// A content header with this table of headers.
fn headers(entries: &[u8]) -> Vec<u8> {
    header(1 << 13, &counted(entries))
}

/// Repairs a content header, makes lapin read it, and returns the repairs.
fn mended(payload: &mut [u8]) -> Mended {
    let length = payload.len();
    let mended = content_header(payload, NOTHING).unwrap();
    assert_eq!(payload.len(), length);
    let (rest, _) = parse_properties(&payload[12..]).expect("lapin reads it");
    assert!(rest.is_empty());
    mended
}

const TEXT: Mended = Mended { text: true, nesting: false, size: false };
const NESTING: Mended = Mended { text: false, nesting: true, size: false };
const NOTHING: Mended = Mended { text: false, nesting: false, size: false };

#[test]
fn valid_payloads_stay_unchanged() {
    let values: [&[u8]; 19] = [
        b"V",
        b"t\x02",
        b"b\xff",
        b"B\xff",
        b"s\xff\xff",
        b"U\xff\xff",
        b"u\xff\xff",
        b"I\xff\xff\xff\xff",
        b"i\xff\xff\xff\xff",
        b"f\xff\xff\xff\xff",
        b"D\xff\xff\xff\xff\xff",
        b"L\xff\xff\xff\xff\xff\xff\xff\xff",
        b"l\xff\xff\xff\xff\xff\xff\xff\xff",
        b"d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"T\xff\xff\xff\xff\xff\xff\xff\xff",
        b"S\0\0\0\x02\xff\xfe",
        b"x\0\0\0\x02\xff\xfe",
        b"A\0\0\0\0",
        b"F\0\0\0\0",
    ];
    let entries: Vec<u8> = values.iter().flat_map(|value| entry("ñ".as_bytes(), value)).collect();
    let array = holding(b'A', &values.concat());
    let all = [entries.clone(), entry(b"array", &array), entry(b"table", &holding(b'F', &entries))];
    let all = all.concat();
    for flags in [1 << 13, 0, 3] {
        let table = if flags & 1 << 13 == 0 { Vec::new() } else { counted(&all) };
        let before = header(flags, &table);
        let mut after = before.clone();
        assert_eq!(mended(&mut after), NOTHING);
        assert_eq!(after, before);
    }
}

#[test]
fn every_short_property_is_mended() {
    for (place, property) in PROPERTIES.iter().enumerate() {
        if !matches!(property, WireField::Short) {
            continue;
        }
        let flags = 1 << 15 >> place;
        let mut payload = header(flags, &short(NO_TEXT));
        assert!(parse_properties(&payload[12..]).is_err(), "lapin reads it unmended");
        assert_eq!(mended(&mut payload), TEXT, "{place}");
        assert_eq!(payload, header(flags, &short(MENDED_TEXT)));
    }
}

#[test]
fn the_names_of_headers_are_mended_at_any_depth() {
    let nested = |name: &[u8]| {
        let inner = entry(name, b"V");
        let array = holding(b'A', &holding(b'F', &inner));
        headers(&[entry(name, b"t\x01"), entry(b"a", &array)].concat())
    };
    let mut payload = nested(NO_TEXT);
    assert_eq!(mended(&mut payload), TEXT);
    assert_eq!(payload, nested(MENDED_TEXT));
}

/// Tables or arrays, each within the one before: this many below the properties' own table.
fn nested(kind: u8, depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, level| match kind {
        b'F' => holding(b'F', &entry(b"n", &inner)),
        b'A' => holding(b'A', &inner),
        _ if level % 2 == 0 => holding(b'F', &entry(b"n", &inner)),
        _ => holding(b'A', &inner),
    })
}

/// How deep a value is nested.
fn depth(value: &AMQPValue) -> usize {
    1 + match value {
        AMQPValue::FieldArray(array) => array.as_slice().iter().map(depth).max().unwrap_or(0),
        AMQPValue::FieldTable(table) => table.inner().values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[test]
fn a_table_that_is_nested_too_deep_becomes_bytes() {
    for kind in [b'F', b'A', b'?'] {
        for (levels, expected) in
            [(MAX_DEPTH - 1, NOTHING), (MAX_DEPTH, NESTING), (17, NESTING), (5_000, NESTING)]
        {
            let before = headers(&entry(b"deep", &nested(kind, levels)));
            let mut payload = before.clone();
            assert_eq!(mended(&mut payload), expected, "{levels}");
            let changed = payload.iter().zip(&before).filter(|(now, before)| now != before);
            assert_eq!(changed.count(), usize::from(expected.nesting), "{levels}");
            let (_, properties) = parse_properties(&payload[12..]).unwrap();
            let value = &properties.headers().as_ref().unwrap().inner()["deep"];
            // The innermost value counts if the nesting ends before the limit.
            assert_eq!(depth(value), levels.min(MAX_DEPTH - 1) + 1);
        }
    }
}

#[test]
fn unreadable_values_in_headers_become_bytes() {
    let values: [&[u8]; 6] = [b"", b"?", b"I\0", b"S\0\0\0\x09", b"F\xff\xff\xff\xff", b"A\0\0\0"];
    for value in values {
        for (kind, entries) in [(b'F', entry(b"n", value)), (b'A', [b"V", value].concat())] {
            let beside = |kind| {
                let bad = holding(kind, &entries);
                headers(&[entry(b"bad", &bad), entry(b"good", b"t\x01")].concat())
            };
            let mut payload = beside(kind);
            // An array of one value, and it is sound.
            if kind == b'A' && value.is_empty() {
                continue;
            }
            assert_eq!(mended(&mut payload), NESTING, "{value:?}");
            assert_eq!(payload, beside(b'x'));
        }
    }
    // A name that is longer than its table.
    let mut payload = headers(&entry(b"bad", &holding(b'F', b"\x05abc")));
    assert_eq!(mended(&mut payload), NESTING);
}

#[test]
fn an_invalid_content_header_is_reported() {
    let cases = [
        (vec![0, 60, 0], Malformed::Short),
        (header(1 << 15, b""), Malformed::Short),
        (header(1 << 15, b"\x05abc"), Malformed::Short),
        (header(1 << 13, &[0, 0, 0, 9, 1]), Malformed::Short),
        (header(1 << 13, &[0xff, 0xff, 0xff, 0xff]), Malformed::Short),
        (header(1 << 6, &[0; 7]), Malformed::Short),
        (header(0, b"x"), Malformed::Long),
        (headers(&entry(b"n", b"?")), Malformed::Table),
        (headers(b"\x09"), Malformed::Table),
    ];
    for (mut payload, fault) in cases {
        assert_eq!(content_header(&mut payload, NOTHING), Err(fault), "{payload:?}");
    }
}

/// Every method with text fields, each set to `text`.
fn methods(text: &[u8]) -> Vec<Vec<u8>> {
    let text = &short(text)[..];
    let tag = &[0, 0, 0, 0, 0, 0, 0, 7, 0][..];
    [
        (10, 41, text.to_vec()),
        (10, 50, [&[1, 64], text, &[0; 4]].concat()),
        (10, 60, text.to_vec()),
        (20, 40, [&[1, 64], text, &[0; 4]].concat()),
        (50, 11, [text, &[0; 8]].concat()),
        (60, 21, text.to_vec()),
        (60, 30, [text, &[1]].concat()),
        (60, 31, text.to_vec()),
        (60, 50, [&[1, 64], text, text, text].concat()),
        (60, 60, [text, tag, text, text].concat()),
        (60, 71, [tag, text, text, &[0; 4]].concat()),
        (60, 72, text.to_vec()),
        (10, 10, [&[0, 9][..], &counted(&entry(&text[1..], b"V")), &[0; 8]].concat()),
    ]
    .into_iter()
    .map(|(class, method, arguments)| [&[0, class, 0, method][..], &arguments].concat())
    .collect()
}

#[test]
fn every_method_that_has_text_is_mended() {
    for (mut payload, expected) in methods(NO_TEXT).into_iter().zip(methods(MENDED_TEXT)) {
        assert_eq!(method(&mut payload), Ok(TEXT), "{payload:?}");
        assert_eq!(payload, expected);
        let (rest, _) = parse_class(&payload[..]).expect("lapin reads it");
        assert!(rest.is_empty());
        assert_eq!(method(&mut payload), Ok(NOTHING), "it is sound now");
        let cut = payload.len() - 1;
        assert_eq!(method(&mut payload[..cut]), Err(Malformed::Short));
        payload.push(0);
        assert_eq!(method(&mut payload), Err(Malformed::Long));
    }
}

#[test]
fn a_method_without_text_passes() {
    let mut payload = [0, 60, 0, 80, 0xff, 0xff];
    assert_eq!(method(&mut payload), Ok(NOTHING));
    assert_eq!(method(&mut payload[..3]), Err(Malformed::Short));
}
