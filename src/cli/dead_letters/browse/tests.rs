use ratatui::{Terminal, backend::TestBackend, crossterm::event::KeyCode};

use super::*;
use crate::{
    broker::MessageDetails,
    cli::dead_letters::testing::{letter, now},
    domain::{DeadReason, Reason, StoredLetter},
};

fn details() -> MessageDetails {
    MessageDetails {
        properties: vec![("content_type", "application/json".to_owned())],
        foreign_headers: vec!["tenant".to_owned()],
        deaths: Vec::new(),
        job: Some(serde_json::json!({ "refresh_token": "[ba7816bf8f01]" })),
        other_fields: 0,
    }
}

fn rejected() -> StoredLetter {
    StoredLetter { reason: DeadReason::Stated(Reason::Rejected), ..letter() }
}

/// Three dead letters in two groups.
fn browser() -> Browser {
    let mut groups = Groups::default();
    for letter in [letter(), letter(), rejected()] {
        groups.add(&letter);
    }
    groups.sort();
    Browser { queue: "revocations.dead".to_owned(), groups, ..Browser::default() }
}

fn identity(n: u8) -> MessageIdentity {
    MessageIdentity::for_tests(n)
}

fn open(browser: &mut Browser) {
    let letters =
        (0..2).map(|n| Listed { letter: letter(), details: details(), identity: identity(n) });
    browser.open = Some(OpenGroup {
        place: 0,
        letters: letters.collect(),
        count: 2,
        selected: 0,
        marked: std::collections::BTreeSet::new(),
        shown_from: None,
    });
}

fn drawn(browser: &Browser, (width, height): (u16, u16)) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| browser.draw(frame, now(), false)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

#[test]
fn groups_fit_a_terminal_of_eighty_columns() {
    let lines = drawn(&browser(), (80, 24));
    assert_eq!(lines[0], "revocations.dead: 3 dead letters in 2 groups");
    assert_eq!(lines[1], "      COUNT REASON           CLIENT         OLDEST  DETAIL");
    assert_eq!(
        lines[2],
        "          2 exhausted        shop           1m      the endpoint answered others"
    );
    assert!(lines[3].starts_with("          1 rejected "), "{lines:#?}");
    assert!(lines[23].starts_with("space mark"), "{lines:#?}");
    let mut browser = browser();
    for size in [(0, 0), (1, 1), (20, 5), (80, 24), (300, 100)] {
        drawn(&browser, size);
    }
    open(&mut browser);
    for size in [(0, 0), (1, 1), (20, 5), (80, 24), (300, 100)] {
        drawn(&browser, size);
    }
}

#[test]
fn keys_lead_from_a_group_to_one_letter_and_back() {
    let mut browser = browser();
    assert_eq!(browser.key(KeyCode::Down), Request::Nothing);
    assert_eq!(browser.key(KeyCode::Enter), Request::Open(1));
    open(&mut browser);
    let lines = drawn(&browser, (80, 24));
    assert_eq!(lines[0], "revocations.dead: 3 dead letters › exhausted: 2");
    assert_eq!(lines[2], "  1m       ba7816bf8f01 bulk        3        logout-7");
    assert_eq!(browser.key(KeyCode::Enter), Request::Nothing);
    let page = drawn(&browser, (80, 24)).join("\n");
    for part in ["logout-7", "ba7816bf8f01", "the endpoint answered others", "tenant"] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    browser.key(KeyCode::Down);
    assert_ne!(drawn(&browser, (80, 24)).join("\n"), page, "it scrolls");
    browser.key(KeyCode::Esc);
    assert!(browser.open.is_some(), "back to the list");
    browser.key(KeyCode::Esc);
    assert!(browser.open.is_none(), "back to the groups");
    assert_eq!(browser.key(KeyCode::Char('q')), Request::Quit);
}

/// What is marked, else what is selected, in the list that is shown.
#[test]
fn a_change_concerns_what_is_marked_or_selected() {
    let mut browser = browser();
    let none = || -> MessageIdentity { unreachable!("groups need no identity") };
    let of_groups =
        |browser: &Browser| [letter(), rejected()].map(|letter| browser.concerns(&letter, none));
    assert_eq!(of_groups(&browser), [true, false], "the selected group");
    browser.key(KeyCode::Down);
    assert_eq!(of_groups(&browser), [false, true]);
    browser.key(KeyCode::Char(' '));
    browser.key(KeyCode::Up);
    assert_eq!(of_groups(&browser), [false, true], "the marked group");
    browser.key(KeyCode::Char(' '));
    assert_eq!(of_groups(&browser), [true, true]);
    let other = StoredLetter { detail: "another".to_owned(), ..letter() };
    assert!(!browser.concerns(&other, none), "a group that came later is none of the marked ones");

    open(&mut browser);
    let of_letters =
        |browser: &Browser| [0, 1, 2].map(|n| browser.concerns(&letter(), || identity(n)));
    assert_eq!(of_letters(&browser), [true, false, false]);
    browser.key(KeyCode::Down);
    browser.key(KeyCode::Char(' '));
    browser.key(KeyCode::Up);
    assert_eq!(of_letters(&browser), [false, true, false]);
    browser.key(KeyCode::Down);
    browser.key(KeyCode::Char(' '));
    assert_eq!(of_letters(&browser), [false, true, false], "unmarked, and selected");
}

#[test]
fn only_the_typed_number_carries_a_change_out() {
    let ask =
        || Question { words: "Type the number 12: ".to_owned(), count: 12, answer: String::new() };
    for (typed, expected) in [
        ("12", Request::Change),
        ("1", Request::Cancel),
        ("", Request::Cancel),
        ("y", Request::Cancel),
        ("112", Request::Cancel),
    ] {
        let mut browser = browser();
        assert_eq!(browser.key(KeyCode::Char('d')), Request::Choose(ChangeKind::Discard));
        browser.question = Some(ask());
        for c in typed.chars() {
            assert_eq!(browser.key(KeyCode::Char(c)), Request::Nothing);
        }
        let lines = drawn(&browser, (80, 24));
        assert!(lines[2].ends_with(&format!("12: {typed}_")), "{lines:#?}");
        assert_eq!(browser.key(KeyCode::Enter), expected, "{typed:?}");
        assert!(browser.question.is_none());
        assert_eq!(browser.message.is_some(), expected == Request::Cancel);
    }
    let mut browser = browser();
    browser.question = Some(ask());
    assert_eq!(browser.key(KeyCode::Char('1')), Request::Nothing);
    assert_eq!(browser.key(KeyCode::Backspace), Request::Nothing);
    assert_eq!(browser.key(KeyCode::Esc), Request::Cancel);
    assert_eq!(browser.key(KeyCode::Char('r')), Request::Choose(ChangeKind::Replay));
}

#[test]
fn an_empty_queue_has_nothing_to_change() {
    let mut browser = Browser { queue: "q.dead".to_owned(), ..Browser::default() };
    assert_eq!(drawn(&browser, (80, 24))[0], "q.dead: 0 dead letters in 0 groups");
    for key in [KeyCode::Char('r'), KeyCode::Char('d'), KeyCode::Enter, KeyCode::Char(' ')] {
        assert_eq!(browser.key(key), Request::Nothing, "{key:?}");
    }
    assert_eq!(browser.key(KeyCode::Char('g')), Request::Read);
}
