//! Tests of the lines that a resumed sweep calls again.

use super::*;

/// After an orderly stop, a sweep knows which marked lines were not called. Only lines from an earlier run may
/// have been called.
#[tokio::test(start_paused = true)]
async fn an_orderly_stop_leaves_no_doubt() {
    let mut bench = of_lines(100, 3);
    revoke(bench.next().await).await;
    park(bench.next().await, HOUR).await;
    bench.control.stop();
    let (folder, state, finished) = bench.end().await;
    assert!(!finished);
    assert_eq!(state.line_state(1), LineState::Ended(LineOutcome::Ended(Completion::Revoked)));
    assert!(matches!(state.line_state(2), LineState::Open(open) if !open.in_doubt));
    assert_eq!(state.line_state(3), LineState::Fresh);

    let settings = settings(&folder, 3);
    let mut bench = self::bench(folder, &settings);
    let second = bench.next().await;
    assert_eq!((token(&second).as_str(), second.metadata().history.attempts), ("t2", 3));
    revoke(second).await;
    let third = bench.next().await;
    assert_eq!(token(&third), "t3");
    assert!(!third.metadata().redelivered);
}

/// Jobs were requeued and not delivered again before the stop. The journal had marked them as possibly called, and
/// removes that mark.
#[tokio::test(start_paused = true)]
async fn reopened_jobs_that_were_not_called_are_put_back() {
    let mut bench = of_lines(3, 3);
    for _ in 0..3 {
        park(bench.next().await, HOUR).await;
    }
    let first = bench.next().await;
    revoke(first).await;
    bench.control.stop();
    let (_, state, _) = bench.end().await;
    for line in [2, 3] {
        assert!(
            matches!(state.line_state(line), LineState::Open(open) if !open.in_doubt),
            "{line}"
        );
    }
}

/// After a kill, the delivered jobs may have been called. They stay marked so until they end, even after an
/// orderly stop.
#[tokio::test]
async fn marked_lines_of_a_killed_run_are_redelivered() {
    let mut first = of_lines(3, 3);
    revoke(first.next().await).await;
    drop((first.next().await, first.next().await));
    drop((first.source, first.journal));
    first.writing.await.unwrap();

    let settings = settings(&first.folder, 3);
    let mut second = bench(first.folder, &settings);
    let delivery = second.next().await;
    assert_eq!(token(&delivery), "t2");
    assert!(delivery.metadata().redelivered);
    revoke(delivery).await;
    second.control.stop();
    let (folder, state, _) = second.end().await;
    assert_eq!(state.line_state(3), LineState::InDoubt);

    let mut third = bench(folder, &settings);
    let delivery = third.next().await;
    assert_eq!(token(&delivery), "t3");
    assert!(delivery.metadata().redelivered);
    revoke(delivery).await;
    assert!(third.end().await.2);
}

#[tokio::test]
async fn failed_lines_are_taken_up_again_when_asked_for() {
    let mut first = of_lines(2, 3);
    let letter = DeadLetter {
        reason: Reason::RejectedAfterAmbiguity,
        detail: "no".to_owned(),
        code: None,
        http_status: None,
        fingerprint: None,
        dead_at: SystemTime::UNIX_EPOCH,
    };
    let history = History { ambiguity: Some(Ambiguity::Attempt), ..History::default() };
    first.next().await.settle(&Outcome::DeadLettered(letter), &history, None).await;
    revoke(first.next().await).await;
    let (folder, state, finished) = first.end().await;
    assert!(finished, "a failure is an end");
    let reason = Reason::RejectedAfterAmbiguity;
    assert_eq!(
        state.line_state(1),
        LineState::Ended(LineOutcome::Failed(reason, Some(Ambiguity::Attempt)))
    );

    let once = settings(&folder, 3);
    let (folder, _, finished) = bench(folder, &once).end().await;
    assert!(finished, "nothing is left to do");

    let again = SweepSettings { retry_failed: true, ..once };
    let mut bench = bench(folder, &again);
    assert_eq!(bench.counters.counts().lines.failed(), 1);
    let delivery = bench.next().await;
    assert_eq!(token(&delivery), "t1");
    assert_eq!(delivery.metadata().history.ambiguity, Some(Ambiguity::Attempt));
    assert_eq!(bench.counters.counts().lines.failed(), 0);
    revoke(delivery).await;
    let (_, state, finished) = bench.end().await;
    assert!(finished);
    assert_eq!(state.line_state(1), LineState::Ended(LineOutcome::Ended(Completion::Revoked)));
}

/// The second line has a token that the journal proves revoked. Its expiry differs, so the reader of the file
/// does not drop it as a duplicate.
#[tokio::test]
async fn a_proved_token_is_not_called_on_another_line() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("tokens.txt");
    let lines =
        "{\"refresh_token\":\"t1\"}\n{\"refresh_token\":\"t1\",\"expires_at\":9999999999}\n";
    fs::write(&input, lines).unwrap();
    let options = Options {
        format: Some(InputFormat::Ndjson),
        defaults: JobDefaults::default(),
        ..Options::default()
    };
    let settings = SweepSettings { options, ..settings(&folder, 3) };
    let mut first = bench(folder, &settings);
    revoke(first.next().await).await;
    first.control.stop();
    let (folder, ..) = first.end().await;
    let (_, state, finished) = bench(folder, &settings).end().await;
    assert!(finished);
    assert_eq!(state.line_state(2), LineState::Ended(LineOutcome::Ended(Completion::Duplicate)));
}

#[tokio::test]
async fn lines_that_need_no_call_have_entries_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(101);
    fs::write(folder.path().join("tokens.txt"), format!("t1\n\nt1\n{long}\n")).unwrap();
    let settings = settings(&folder, 3);
    let mut bench = bench(folder, &settings);
    revoke(bench.next().await).await;
    let (_, state, finished) = bench.end().await;
    assert!(finished);
    let ended = |line| match state.line_state(line) {
        LineState::Ended(outcome) => Some(outcome),
        _ => None,
    };
    assert_eq!(ended(2), None, "a blank line is no line");
    assert_eq!(ended(3), Some(LineOutcome::Repeated));
    assert_eq!(ended(4), Some(LineOutcome::Failed(Reason::InvalidJob, None)));
}
