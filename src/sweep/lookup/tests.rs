use std::{
    convert::Infallible,
    fs,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::{
    domain::{Completion, History, Job, JobDefaults, Outcome, TokenHash},
    input::InputFormat,
    sweep::journal::{EntryKind, JournalEntry, LineJob},
};

fn job(token: &str, client: Option<&str>) -> Job {
    let client = client.map_or(Value::Null, Value::from);
    let body = serde_json::json!({ "refresh_token": token, "client_id": client }).to_string();
    Job::parse(body.as_bytes(), &JobDefaults::default()).unwrap()
}

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn done(line: u64, job: &Job, completion: Completion, hash: TokenHash) -> JournalRecord {
    let history = History { attempts: 1, ..History::default() };
    let outcome = Outcome::Done(completion);
    JournalRecord::Entry(JournalEntry::of(
        line,
        LineJob::of(job, hash),
        &outcome,
        &history,
        at(line),
    ))
}

fn revoked(line: u64, token: &str) -> JournalRecord {
    done(line, &job(token, None), Completion::Revoked, TokenHash::Short)
}

fn repeated(line: u64, token: &str) -> JournalRecord {
    let job = LineJob::of(&job(token, None), TokenHash::Short);
    JournalRecord::Entry(JournalEntry::without_a_call(line, job, EntryKind::Repeated, at(line)))
}

fn header(settings: &[(&str, &str)]) -> JournalRecord {
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    JournalRecord::Header(JournalHeader::new(None, "https://e".to_owned(), settings))
}

struct Bench(TempDir);

impl Bench {
    fn new(records: &[JournalRecord]) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let mut bytes = JournalRecord::lines(&records[..1]);
        JournalRecord::Synced(bytes.len() as u64).write(&mut bytes);
        bytes.extend(JournalRecord::lines(&records[1..]));
        fs::write(bench.journal(), bytes).unwrap();
        bench
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    fn ask(&self, tokens: &str) -> (Vec<Value>, LookupSummary) {
        let input = self.0.path().join("asked");
        fs::write(&input, tokens).unwrap();
        let options = Options { format: Some(InputFormat::Text), ..Options::default() };
        let settings = LookupSettings { journal: self.journal(), input, options };
        let mut told = Vec::new();
        let summary = lookup(&settings, |looked| {
            told.push(serde_json::to_value(looked).unwrap());
            assert!(!looked.to_string().is_empty());
            Ok::<(), Infallible>(())
        });
        (told, summary.unwrap())
    }
}

fn started(lines: u64) -> JournalRecord {
    JournalRecord::Started(lines)
}

#[test]
fn each_token_is_told_in_the_order_of_the_question() {
    let bench = Bench::new(&[
        header(&[]),
        started(9),
        revoked(1, "a"),
        revoked(2, "b"),
        done(3, &job("c", None), Completion::Expired, TokenHash::Short),
        JournalRecord::Finished(at(9)),
    ]);
    let (told, summary) = bench.ask("b\nnobody\nc\n\"quoted\"\nb\n");
    let outcomes: Vec<_> = told.iter().map(|told| told["outcome"].as_str()).collect();
    assert_eq!(outcomes, [Some("revoked"), None, Some("expired"), None, Some("revoked")]);
    assert_eq!(told[0]["proof"], "said");
    assert_eq!(told[0]["at"], "1970-01-01T00:00:02Z");
    assert_eq!(told[0]["file_lines"], serde_json::json!([2]));
    assert_eq!(told[0]["matched_by"], "fingerprint");
    assert_eq!(told[1]["fingerprint"].as_str().unwrap().len(), 12);
    assert!(told[3]["refused"].is_string(), "{}", told[3]);
    let expected = LookupSummary {
        tokens: 4,
        proved: 2,
        not_proved: 1,
        open: 0,
        not_found: 1,
        refused_lines: 0,
        refused: 1,
        finished: true,
    };
    assert_eq!(summary, expected);
    assert!(!summary.is_complete());
}

/// Repeated lines, and a later run that found the token revoked, change neither the end nor its time.
#[test]
fn a_repetition_and_a_duplicate_keep_the_first_proof() {
    let again = done(5, &job("a", None), Completion::Duplicate, TokenHash::Short);
    let bench = Bench::new(&[header(&[]), started(9), revoked(1, "a"), repeated(4, "a"), again]);
    let (told, _) = bench.ask("a\n");
    assert_eq!(told[0]["outcome"], "revoked");
    assert_eq!(told[0]["at"], "1970-01-01T00:00:01Z");
    assert_eq!(told[0]["file_lines"], serde_json::json!([1, 4, 5]));
    // The repeated line may come first in the journal.
    let bench = Bench::new(&[header(&[]), started(9), repeated(4, "a"), revoked(1, "a")]);
    let (told, _) = bench.ask("a\n");
    assert_eq!(told[0]["outcome"], "revoked");
    assert_eq!(told[0]["file_lines"], serde_json::json!([1, 4]));
}

/// A job that is called again after its proof may end otherwise.
#[test]
fn a_later_end_without_a_proof_keeps_the_first_proof() {
    for end in [Completion::PresumedRevoked, Completion::Expired] {
        let again = done(5, &job("a", None), end, TokenHash::Short);
        let (told, _) = Bench::new(&[header(&[]), started(9), revoked(1, "a"), again]).ask("a\n");
        assert_eq!((&told[0]["outcome"], &told[0]["proof"]), (&"revoked".into(), &"said".into()));
    }
}

/// A token that is not found may be on a line that was called and never recorded.
#[test]
fn an_earlier_input_that_has_not_ended_leaves_the_lookup_unfinished() {
    let finished = JournalRecord::Finished(at(8));
    let second = [header(&[]), started(1), revoked(1, "b"), finished.clone()];
    let first = vec![header(&[]), started(9), revoked(1, "a")];
    let interrupted = [first.clone(), second.to_vec()].concat();
    assert!(!Bench::new(&interrupted).ask("a\n").1.finished);
    let in_order = [first, vec![finished], second.to_vec()].concat();
    assert!(Bench::new(&in_order).ask("a\n").1.finished);
}

/// The same token for two clients is two jobs. The one that proves more is told, and the other one is named.
#[test]
fn several_jobs_with_one_token_are_told() {
    let refused = JournalEntry {
        key: Some(job("a", Some("x")).key()),
        token: LineJob::of(&job("a", None), TokenHash::Short).token,
        ..JournalEntry::refused(7, "why".to_owned(), at(7))
    };
    let bench =
        Bench::new(&[header(&[]), started(9), revoked(1, "a"), JournalRecord::Entry(refused)]);
    let (told, summary) = bench.ask("a\n");
    assert_eq!(told[0]["outcome"], "revoked");
    assert_eq!(told[0]["other_jobs"][0]["outcome"], "failed");
    assert_eq!(told[0]["other_jobs"][0]["file_lines"], serde_json::json!([7]));
    assert_eq!((summary.proved, summary.open), (1, 0));
}

#[test]
fn a_line_that_was_opened_again_is_in_doubt_until_it_ends() {
    let failed = JournalEntry {
        key: Some(job("a", None).key()),
        token: LineJob::of(&job("a", None), TokenHash::Short).token,
        ..JournalEntry::refused(3, "why".to_owned(), at(3))
    };
    let mut records = vec![
        header(&[]),
        started(9),
        JournalRecord::Entry(failed),
        JournalRecord::Finished(at(8)),
        JournalRecord::Again(vec![2, 3]),
    ];
    let (told, summary) = Bench::new(&records).ask("a\n");
    assert_eq!(told[0]["outcome"], "in_doubt");
    assert!(told[0]["proof"].is_null() && told[0]["reason"].is_null());
    assert_eq!((summary.open, summary.finished), (1, false));
    records.push(revoked(3, "a"));
    assert_eq!(Bench::new(&records).ask("a\n").0[0]["outcome"], "revoked");
}

/// The lines of another input have other numbers, and the tokens stay revoked.
#[test]
fn another_input_in_the_same_journal_changes_no_end() {
    let bench = Bench::new(&[
        header(&[]),
        started(9),
        revoked(1, "a"),
        header(&[]),
        started(1),
        revoked(1, "b"),
        JournalRecord::Again(vec![1]),
    ]);
    let (told, _) = bench.ask("a\nb\n");
    assert_eq!((&told[0]["outcome"], &told[1]["outcome"]), (&"revoked".into(), &"in_doubt".into()));
}

/// The whole hash decides where the journal has it.
#[test]
fn the_whole_hash_decides_where_there_is_one() {
    let entry = |token: &str, sha256: &str| {
        let named = done(1, &job("a", None), Completion::Revoked, TokenHash::Full);
        let JournalRecord::Entry(mut entry) = named else { unreachable!() };
        entry.token.fingerprint =
            LineJob::of(&job(token, None), TokenHash::Short).token.fingerprint;
        entry.token.token_sha256 = Some(sha256.to_owned());
        JournalRecord::Entry(entry)
    };
    let own = LineJob::of(&job("a", None), TokenHash::Full).token.token_sha256.unwrap();
    let (told, _) = Bench::new(&[header(&[]), started(9), entry("a", &own)]).ask("a\n");
    assert_eq!(told[0]["matched_by"], "sha256");
    let (_, summary) =
        Bench::new(&[header(&[]), started(9), entry("a", &"0".repeat(64))]).ask("a\n");
    assert_eq!(summary.not_found, 1, "only the first 12 digits are equal");
}

/// Nothing was called for a refused line, so its token may be alive. The journal cannot tell which token that is.
#[test]
fn an_unknown_token_may_be_on_a_refused_line() {
    let refused =
        |line| JournalRecord::Entry(JournalEntry::refused(line, "no job".to_owned(), at(line)));
    let journal = [header(&[]), started(9), revoked(1, "a"), refused(2), refused(3)];
    let bench = Bench::new(&journal);
    let (told, summary) = bench.ask("a\nb\n");
    assert_eq!((&told[0]["refused_lines"], &told[1]["refused_lines"]), (&Value::Null, &2.into()));
    assert_eq!((summary.not_found, summary.refused_lines), (1, 2));
    let text = |refused_lines| {
        Looked::NotFound { line: 2, fingerprint: "0".repeat(12), refused_lines }.to_string()
    };
    assert!(text(0).ends_with("is not in the journal"), "{}", text(0));
    assert!(text(1).ends_with("; 1 line of it was refused, and the token may be on it"));
    assert!(text(2).ends_with("; 2 lines of it were refused, and the token may be on one of them"));

    let again = [JournalRecord::Again(vec![2, 3]), refused(2), revoked(3, "b")];
    let (told, summary) = Bench::new(&[&journal[..], &again[..]].concat()).ask("c\n");
    assert_eq!((&told[0]["refused_lines"], summary.refused_lines), (&1.into(), 1));
}

/// A journal of an earlier version names no token of a success. The key needs the sweep's client.
#[test]
fn an_entry_without_a_hash_is_found_by_its_key() {
    let entry = done(1, &job("a", Some("shop")), Completion::Revoked, TokenHash::Omitted);
    let records = [header(&[("client_id", "shop"), ("audience", "")]), started(9), entry.clone()];
    let (told, _) = Bench::new(&records).ask("a\n");
    assert_eq!((&told[0]["outcome"], &told[0]["matched_by"]), (&"revoked".into(), &"key".into()));
    let (_, summary) = Bench::new(&[header(&[]), started(9), entry]).ask("a\n");
    assert_eq!(summary.not_found, 1, "of another client");
}

/// A crash tears the last batch. It proves nothing, and is left as it is.
#[test]
fn a_torn_tail_is_left_out_and_damage_is_an_error() {
    let bench = Bench::new(&[header(&[]), started(9), revoked(1, "a")]);
    let mut bytes = fs::read(bench.journal()).unwrap();
    let torn = JournalRecord::lines(&[revoked(2, "b")]);
    bytes.extend_from_slice(&torn[..torn.len() / 2]);
    fs::write(bench.journal(), &bytes).unwrap();
    let (told, summary) = bench.ask("a\nb\n");
    assert_eq!((told.len(), summary.proved, summary.not_found), (2, 1, 1));
    assert_eq!(fs::read(bench.journal()).unwrap(), bytes, "it was changed");

    bytes.push(b'\n');
    JournalRecord::Synced(bytes.len() as u64).write(&mut bytes);
    fs::write(bench.journal(), &bytes).unwrap();
    let input = bench.0.path().join("asked");
    let options = Options { format: Some(InputFormat::Text), ..Options::default() };
    let settings = LookupSettings { journal: bench.journal(), input, options };
    let fault = lookup(&settings, |_| Ok::<(), Infallible>(())).unwrap_err();
    assert!(matches!(fault, LookupError::Journal { source: RecoverError::Damaged { .. }, .. }));
    assert!(!fault.is_usage());
}

#[test]
fn more_tokens_than_a_part_are_looked_up() {
    let records: Vec<_> = (1..=3).map(|line| revoked(line, &format!("t{line}"))).collect();
    let mut all = vec![header(&[]), started(9)];
    all.extend(records);
    let asked = (0..PART + 2).map(|n| format!("t{n}\n")).collect::<Vec<_>>().concat();
    let (told, summary) = Bench::new(&all).ask(&asked);
    assert_eq!((told.len(), summary.proved), (PART + 2, 3));
    assert_eq!(told[PART + 1]["line"], PART + 2);
}
