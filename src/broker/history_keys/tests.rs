use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_file_holds_keys_one_a_line_and_the_first_signs() {
    let one = HistoryKeys::from_text(KEY.as_bytes()).unwrap();
    let tag = one.sign(b"message").unwrap();
    for text in [format!("{KEY}\n"), format!("\r\n{KEY}\r\n\n"), format!("{KEY}\n{KEY}2\n")] {
        let keys = HistoryKeys::from_text(text.as_bytes()).unwrap();
        assert_eq!(keys.sign(b"message").unwrap().as_ref(), tag.as_ref(), "{text:?}");
        assert!(keys.verify(b"message", tag.as_ref()));
        assert!(!keys.verify(b"massage", tag.as_ref()));
    }
    let other = HistoryKeys::from_text(format!("{KEY}2\n{KEY}").as_bytes()).unwrap();
    assert_ne!(other.sign(b"message").unwrap().as_ref(), tag.as_ref());
    assert!(other.verify(b"message", tag.as_ref()));
    let none = HistoryKeys::none();
    assert!(!none.are_given() && none.sign(b"message").is_none());
    assert!(!none.verify(b"message", tag.as_ref()));
}

#[test]
fn an_invalid_key_is_refused_with_its_line_and_not_repeated() {
    let many = format!("{KEY}\n").repeat(MAX_KEYS + 1);
    let long = "x".repeat(MAX_KEY_CHARS + 1);
    for (text, words) in [
        ("", "holds no key"),
        ("\n\r\n", "holds no key"),
        ("hunter2", "fewer than 32 characters in line 1"),
        (&format!("{KEY}\nhunter2\n"), "fewer than 32 characters in line 2"),
        (&format!(" {KEY}"), "line 1 that is no letter"),
        (&format!("\u{feff}{KEY}"), "line 1 that is no letter"),
        (&format!("{KEY}\n{KEY} \n"), "line 2 that is no letter"),
        (&format!("{KEY}\0"), "line 1 that is no letter"),
        (&many, "more than 8 keys"),
        (&long, "more than 8 keys of at most 1024 characters"),
        (&"y".repeat(MAX_FILE_BYTES + 1), "more than 8 keys"),
    ] {
        let fault = HistoryKeys::from_text(text.as_bytes()).unwrap_err();
        let shown = format!("{fault} {fault:?}");
        assert!(shown.contains(words), "{text:?}: {shown}");
        assert!(!shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
    }
    assert!(HistoryKeys::from_text(&[0xff; 40]).is_err());
}

#[test]
fn keys_are_never_shown() {
    let keys = HistoryKeys::from_text(KEY.as_bytes()).unwrap();
    assert_eq!(format!("{keys:?}"), "HistoryKeys { path: None, .. }");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_and_an_endless_one_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let missing = HistoryKeys::load(Some(&folder.path().join("missing"))).unwrap_err();
    assert_eq!(missing.to_string(), "cannot be read (entity not found)");
    let endless = HistoryKeys::load(Some(Path::new("/dev/zero"))).unwrap_err();
    assert!(matches!(endless, HistoryKeyFault::TooMany), "{endless}");
    assert!(!HistoryKeys::load(None).unwrap().are_given());
}
