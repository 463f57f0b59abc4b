//! Faults of the input, and the settings in the header of the journal.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_input_that_changes_under_the_sweep_ends_it() {
    let mut bench = of_lines(2, 3);
    park(bench.next().await, HOUR).await;
    revoke(bench.next().await).await;
    fs::write(bench.folder.path().join("tokens.txt"), "another\nfile\n").unwrap();
    assert!(bench.source.next().await.is_none());
    match bench.control.take_end() {
        Some(SourceEnd::Failed(LoadError::Input(InputFault::Changed))) => {}
        other => panic!("{other:?}"),
    }
}

/// An input without a line is probably the wrong file.
#[test]
fn an_input_without_a_line_is_refused_and_leaves_no_journal() {
    let folder = tokens(0);
    let refusal = begin(&settings(&folder, 3)).err().unwrap();
    assert!(refusal.is_usage(), "{refusal}");
    assert!(!journal(&folder).exists());
}

/// A pipe without a journal and a missing input have different errors.
#[test]
fn an_input_that_is_not_there_is_no_pipe() {
    let folder = tokens(1);
    let nameless = |input: PathBuf| {
        let refusal =
            begin(&SweepSettings { input, journal: None, ..settings(&folder, 3) }).err().unwrap();
        assert!(refusal.is_usage(), "{refusal}");
        refusal
    };
    assert!(matches!(nameless("-".into()), BeginError::NoJournal));
    assert!(matches!(nameless("/dev/null".into()), BeginError::NoJournal));
    for (input, expected) in [
        (folder.path().join("nowhere.txt"), "there is no such file"),
        (folder.path().to_owned(), "it is a directory"),
    ] {
        match nameless(input) {
            BeginError::Input { source, .. } => {
                assert!(source.to_string().contains(expected), "{source}");
            }
            other => panic!("{other}"),
        }
    }
}

/// The journal treats two lines of one number as one. So no part of such a block is written or delivered.
#[test]
fn a_block_whose_lines_are_not_in_order_is_refused() {
    let state = JournalState::new(header(&settings(&tokens(1), 1)).unwrap().0);
    let counters = Arc::<SweepCounters>::default();
    let mut scan = Scan::new(Arc::new(state), Arc::clone(&counters), false, TokenHash::Short);
    let line = |number| {
        let job = Job::parse(br#"{"refresh_token":"t"}"#, &JobDefaults::default()).unwrap();
        InputLine { number, last_line: number, marked: false, kind: LineKind::Duplicate(job) }
    };
    let now = SystemTime::UNIX_EPOCH;
    assert_eq!(scan.block(vec![line(1), line(2)], now).unwrap().records.len(), 3);
    let fault = scan.block(vec![line(3), line(3)], now).err().unwrap();
    assert_eq!((fault.line, fault.before), (3, 3));
    assert!(scan.block(vec![line(2)], now).is_err(), "behind the block before");
    assert_eq!(counters.counts().read, 2);
}

/// The journal records the settings, so that a run with different ones is detected.
#[test]
fn the_settings_that_make_jobs_of_lines_are_in_the_header() {
    let folder = tokens(1);
    let mut settings = settings(&folder, 1);
    settings.options.field_defaults.username = Some("u".to_owned());
    // Options that equal the defaults.
    settings.options.columns = vec!["refresh_token=Refresh_Token".parse().unwrap()].into();
    settings.options.delimiter = Some(Delimiter::Comma);
    settings.options.defaults.audience = "a".into();
    let (header, _) = header(&settings).unwrap();
    let expected = [("format", "text"), ("audience", "a"), ("username", "u")];
    let expected: BTreeMap<String, String> =
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(header.settings, expected);
}

/// The same file with another column or delimiter has different jobs.
#[test]
fn columns_and_delimiter_are_in_the_header_where_they_change_the_jobs() {
    let folder = tokens(1);
    let mut settings = settings(&folder, 1);
    settings.options.format = None;
    settings.input = folder.path().join("tokens");
    fs::write(&settings.input, "token;mail\nt1;m\n").unwrap();
    let columns = ["username=Mail", "refresh_token=token"];
    settings.options.columns =
        columns.map(|column| column.parse::<Column>().unwrap()).to_vec().into();
    settings.options.delimiter = Some(Delimiter::Semicolon);
    let (header, _) = header(&settings).unwrap();
    let expected = [
        ("format", "csv"),
        ("audience", ""),
        ("columns", "refresh_token=token,username=mail"),
        ("delimiter", "semicolon"),
    ];
    let expected: BTreeMap<String, String> =
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(header.settings, expected);
}
