use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    domain::{
        Ambiguity, Completion, Fingerprint, History, Job, JobDefaults, JobKey, Reason, ResultLabel,
        TokenName,
    },
    sweep::journal::{
        EntryKind, InputId, JournalEntry, JournalHeader, LineOutcome, LineState, OpenLine,
        entry::LineFailure,
    },
};

fn header(size: u64) -> JournalHeader {
    let id = InputId { sha256: "ab".repeat(32), size };
    JournalHeader::new(Some(id), "https://e".to_owned(), BTreeMap::new())
}

fn key(line: u64) -> JobKey {
    let body = format!(r#"{{"refresh_token":"t{line}"}}"#);
    Job::parse(body.as_bytes(), &JobDefaults::default()).unwrap().key()
}

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_770_000_000_123)
}

fn entry(line: u64, kind: EntryKind, history: History) -> JournalRecord {
    JournalRecord::Entry(JournalEntry {
        line,
        key: Some(key(line)),
        token: TokenName { fingerprint: Some(Fingerprint::of("abc")), token_sha256: None },
        kind,
        history,
        at: at(),
    })
}

fn revoked(line: u64) -> JournalRecord {
    entry(
        line,
        EntryKind::Ended(Completion::Revoked),
        History { attempts: 1, ..History::default() },
    )
}

fn failed(line: u64, ambiguity: Option<Ambiguity>) -> JournalRecord {
    let failed = LineFailure {
        reason: Reason::Rejected,
        detail: "the endpoint answered 01: \"no\"".to_owned(),
        code: Some("01".to_owned()),
        http_status: Some(200),
    };
    entry(line, EntryKind::Failed(failed), History { attempts: 2, ambiguity, ..History::default() })
}

fn history(ambiguity: Option<Ambiguity>) -> History {
    History {
        attempts: 7,
        stays: 2,
        first_failed_at: Some(at()),
        last_error: Some(ResultLabel::Http5xx),
        ambiguity,
        paused: Duration::from_millis(12_345),
        parked_at: Some(at()),
        verified: true,
    }
}

/// A journal as its writer leaves it: each batch begins with the offset of the synced bytes.
fn written(batches: &[Vec<JournalRecord>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    JournalRecord::Header(header(7)).write(&mut bytes);
    for batch in batches {
        JournalRecord::Synced(bytes.len() as u64).write(&mut bytes);
        bytes.extend(JournalRecord::lines(batch));
    }
    bytes
}

/// The state after adding the records one by one.
fn state_of(records: &[JournalRecord]) -> JournalState {
    let mut state = JournalState::new(header(7));
    for record in records {
        assert!(state.add(record));
    }
    state.index();
    state
}

fn recovered(bytes: &[u8]) -> Recovered {
    recover(bytes).unwrap()
}

#[test]
fn each_line_stands_as_its_last_records_say() {
    let attempt = Some(Ambiguity::Attempt);
    let put_off = history(attempt);
    let handed_back = History { parked_at: Some(at()), ..History::default() };
    let batches = [
        vec![JournalRecord::Started(100)],
        vec![revoked(1), failed(2, None), failed(3, attempt)],
        vec![entry(4, EntryKind::Parked, put_off), entry(5, EntryKind::HandedBack, handed_back)],
        vec![entry(6, EntryKind::Parked, put_off), failed(7, attempt), revoked(8), failed(9, None)],
        vec![JournalRecord::Again(vec![6, 7, 9])],
        vec![revoked(9)],
    ];
    let state = recovered(&written(&batches)).state.unwrap();
    let open = |history, in_doubt| LineState::Open(OpenLine { history, in_doubt });
    let doubtful = History { ambiguity: attempt, ..History::default() };
    let cases = [
        (1, LineState::Ended(LineOutcome::Ended(Completion::Revoked))),
        (2, LineState::Ended(LineOutcome::Failed(Reason::Rejected, None))),
        (3, LineState::Ended(LineOutcome::Failed(Reason::Rejected, attempt))),
        (4, open(put_off, false)),
        (5, open(handed_back, false)),
        (6, open(put_off, true)),
        (7, open(doubtful, true)),
        (8, LineState::Ended(LineOutcome::Ended(Completion::Revoked))),
        (9, LineState::Ended(LineOutcome::Ended(Completion::Revoked))),
        (10, LineState::InDoubt),
        (100, LineState::InDoubt),
        (101, LineState::Fresh),
    ];
    for (line, line_state) in cases {
        assert_eq!(state.line_state(line), line_state, "line {line}");
    }
    assert!([1, 8, 9].iter().all(|line| state.known_end(&key(*line)).is_some()));
    assert!([2, 3, 4, 10].iter().all(|line| state.known_end(&key(*line)).is_none()));
    assert_eq!(state.open(), 4);
}

/// A rejection after a lost answer proves nothing, so it proves no other line either.
#[test]
fn a_presumed_end_gives_other_lines_no_proof() {
    let presumed = |line| entry(line, EntryKind::Ended(Completion::PresumedRevoked), history(None));
    let mut again = revoked(3);
    let JournalRecord::Entry(JournalEntry { key: of_line_2, .. }) = presumed(2) else { panic!() };
    if let JournalRecord::Entry(entry) = &mut again {
        entry.key = of_line_2;
    }
    let batches = [vec![JournalRecord::Started(9), presumed(1), presumed(2), again, presumed(2)]];
    let state = recovered(&written(&batches)).state.unwrap();
    assert_eq!(state.known_end(&key(1)), Some(Completion::PresumedRevoked));
    assert_eq!(state.known_end(&key(2)), Some(Completion::Duplicate), "line 3 proves it");
}

#[test]
fn an_orderly_end_says_which_lines_were_not_called() {
    let batches =
        [vec![JournalRecord::Started(100)], vec![revoked(1)], vec![JournalRecord::Started(40)]];
    let state = recovered(&written(&batches)).state.unwrap();
    assert_eq!(state.line_state(40), LineState::InDoubt);
    assert_eq!(state.line_state(41), LineState::Fresh);
    assert_eq!(state.started(), 40);
}

/// Line numbers of the former input are invalid for the next one. Revoked jobs are identified by their keys. The end of
/// the former sweep decides whether lines are in doubt.
#[test]
fn another_input_begins_again_with_the_proofs() {
    let finished = JournalRecord::Finished(at());
    let cases = [
        (
            vec![JournalRecord::Started(2), revoked(1), failed(2, None), finished.clone()],
            LineState::Fresh,
        ),
        (vec![JournalRecord::Started(2), revoked(1), failed(2, None)], LineState::InDoubt),
        (
            vec![
                JournalRecord::Started(2),
                revoked(1),
                failed(2, Some(Ambiguity::Redelivered)),
                finished,
            ],
            LineState::InDoubt,
        ),
    ];
    for (before, line_state) in cases {
        let batches = [before, vec![JournalRecord::Header(header(9))]];
        let state = recovered(&written(&batches)).state.unwrap();
        assert_eq!(state.header(), &header(9));
        assert_eq!(state.known_end(&key(1)), Some(Completion::Duplicate));
        assert_eq!(state.known_end(&key(2)), None);
        assert_eq!(
            (state.line_state(1), state.line_state(2)),
            (line_state, line_state),
            "{batches:?}"
        );
        assert_eq!(state.outcomes().iter().count(), 0);
    }
}

#[test]
fn a_torn_end_is_cut_off_and_nothing_else() {
    let whole =
        written(&[vec![JournalRecord::Started(9), revoked(1)], vec![revoked(2), revoked(3)]]);
    let ends = [
        (&b"{\"line\":4,\"out"[..], "half a record"),
        (&b"\0\0\0\0\0\0\0"[..], "what a file system leaves of a page that was not written"),
        (&b"\0\0\0\0\n{\"line\":4}\n"[..], "a gap, and the rest of the batch"),
        (&b"{\"line\":4,\"outcome\":\"revoked\",\"attempts\":1,\"at\":\"2026\"}\n"[..], "no time"),
        (&b"{\"synced\":99999}"[..], "a whole record without its line break"),
    ];
    for (end, what) in ends {
        let torn = [&whole, end].concat();
        let recovered = recovered(&torn);
        assert!(recovered.torn, "{what}");
        assert_eq!(recovered.whole, whole.len() as u64, "{what}");
        let state = recovered.state.unwrap();
        assert_eq!(
            state.line_state(3),
            LineState::Ended(LineOutcome::Ended(Completion::Revoked)),
            "{what}"
        );
        assert_eq!(state.line_state(4), LineState::InDoubt, "{what}");
    }
}

#[test]
fn damage_before_the_end_is_named_and_not_worked_around() {
    let batches = [vec![JournalRecord::Started(9)], vec![revoked(1), revoked(2)], vec![revoked(3)]];
    let text = String::from_utf8(written(&batches)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // Every line of the batches that a later one confirms as synced.
    for damaged in 1..=5 {
        for garbage in ["", "garbage", "{}", &lines[damaged][1..]] {
            let mut changed = lines.clone();
            changed[damaged] = garbage;
            match recover(changed.join("\n").as_bytes()) {
                Err(RecoverError::Damaged { line }) => assert_eq!(line, damaged as u64 + 1),
                other => panic!("line {}, {garbage:?}: {other:?}", damaged + 1),
            }
        }
    }
}

/// An entry of a line that is not marked as started.
#[test]
fn a_record_that_cannot_follow_is_damage() {
    let batches = [vec![JournalRecord::Started(9)], vec![revoked(10)], vec![revoked(1)]];
    assert!(matches!(recover(&written(&batches)[..]), Err(RecoverError::Damaged { line: 5 })));
}

#[test]
fn a_file_that_is_no_journal_is_left_alone() {
    let cases: [(&[u8], &str); 5] = [
        (b"{\"refresh_token\":\"t\"}\n", "a file of jobs"),
        (b"token", "a token"),
        (b"\n", "a blank line"),
        (b"\0\0\0", "zeros"),
        (b"{\"revoker_journey\":1}\n", "something similar"),
    ];
    for (bytes, what) in cases {
        assert!(matches!(recover(bytes), Err(RecoverError::Stranger)), "{what}");
    }
    let newer = b"{\"revoker_journal\":3,\"something\":\"new\"}\n";
    assert!(matches!(recover(&newer[..]), Err(RecoverError::Version(3))));
    let broken = b"{\"revoker_journal\":1}\n";
    assert!(matches!(recover(&broken[..]), Err(RecoverError::Damaged { line: 1 })));
}

#[test]
fn a_journal_that_had_only_just_begun_begins_again() {
    let whole = written(&[]);
    for length in 0..whole.len() - 1 {
        let recovered = recovered(&whole[..length]);
        assert_eq!(recovered.state, None);
        assert_eq!((recovered.whole, recovered.torn), (0, length > 0));
    }
}

/// The line is longer than any valid record. It must not be read into memory as a whole.
#[test]
fn an_endless_line_is_no_record() {
    let mut bytes = written(&[vec![JournalRecord::Started(1)]]);
    let whole = bytes.len() as u64;
    bytes.resize(bytes.len() + 3 * usize::try_from(MAX_RECORD).unwrap(), b'x');
    let recovered = recovered(&bytes);
    assert_eq!((recovered.whole, recovered.torn), (whole, true));
}

fn any_entry() -> impl Strategy<Value = JournalRecord> {
    let kind = prop_oneof![
        Just(EntryKind::Ended(Completion::Revoked)),
        Just(EntryKind::Ended(Completion::Expired)),
        Just(EntryKind::Repeated),
        Just(EntryKind::Parked),
        Just(EntryKind::HandedBack),
        "[a-z\" \\\\]{0,20}".prop_map(|detail| EntryKind::Failed(LineFailure {
            reason: Reason::Exhausted,
            detail,
            code: None,
            http_status: None,
        })),
    ];
    let ambiguity =
        prop_oneof![Just(None), Just(Some(Ambiguity::Attempt)), Just(Some(Ambiguity::Redelivered))];
    (1..30u64, kind, ambiguity, any::<bool>()).prop_map(|(line, kind, ambiguity, verified)| {
        entry(line, kind, History { verified, ..history(ambiguity) })
    })
}

fn any_record() -> impl Strategy<Value = JournalRecord> {
    prop_oneof![
        6 => any_entry(),
        1 => (30..99u64).prop_map(JournalRecord::Started),
        1 => vec(1..30u64, 1..4).prop_map(JournalRecord::Again),
        1 => Just(JournalRecord::Finished(at())),
        1 => (0..9u64).prop_map(|size| JournalRecord::Header(header(size))),
    ]
}

/// Every input begins with a mark, because a line may have an entry only after its mark.
fn any_batches() -> impl Strategy<Value = Vec<Vec<JournalRecord>>> {
    vec(vec(any_record(), 1..5), 0..8).prop_map(|batches| {
        let mark = |record: JournalRecord| match record {
            header @ JournalRecord::Header(_) => vec![header, JournalRecord::Started(99)],
            other => vec![other],
        };
        let first = vec![vec![JournalRecord::Started(99)]];
        let rest = batches.into_iter().map(|batch| batch.into_iter().flat_map(mark).collect());
        first.into_iter().chain(rest).collect()
    })
}

proptest! {
    /// Writing may stop at any byte. The recovered state is the state of the complete lines.
    #[test]
    fn any_prefix_recovers_to_a_prefix_of_the_state(batches in any_batches(), cut in 0.0..=1.0) {
        let bytes = written(&batches);
        #[allow(
            clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a place in a small file"
        )]
        let cut = (bytes.len() as f64 * cut) as usize;
        let Recovered { state, whole, torn } = recover(&bytes[..cut]).unwrap();
        let lines = bytes[..cut].split(|byte| *byte == b'\n').count() - 1;
        let end = bytes[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        prop_assert_eq!(whole, end as u64);
        prop_assert_eq!(torn, end < cut);
        let Some(state) = state else {
            prop_assert_eq!(lines, 0);
            return Ok(());
        };
        let all: Vec<JournalRecord> = batches
            .iter()
            .flat_map(|batch| std::iter::once(JournalRecord::Synced(0)).chain(batch.iter().cloned()))
            .collect();
        prop_assert_eq!(state, state_of(&all[..lines - 1]));
    }

    /// Any bytes may follow the synced ones. No synced record is lost.
    #[test]
    fn any_torn_end_leaves_the_synced_records(
        batches in any_batches(), end in vec(any::<u8>(), 1..200),
    ) {
        let bytes = written(&batches);
        let torn = [&bytes[..], &end].concat();
        let Recovered { state, whole, .. } = recover(&torn[..]).unwrap();
        prop_assert!(whole >= bytes.len() as u64);
        prop_assert_eq!(state, recover(&bytes[..]).unwrap().state);
    }
}
