//! When a job that fails waits, is parked, or is given up.

use super::*;
use crate::{domain::Blame, flow::CallOutcome};

#[tokio::test(start_paused = true)]
async fn a_transport_failure_is_retried_with_growing_waits() {
    let mut answers: Vec<_> = (0..4).map(|_| Answer::Verdict(transient(false))).collect();
    answers.push(Answer::Verdict(Verdict::Revoked));
    let mut bench = bench(answers);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.gaps(), [250, 500, 1000, 2000]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_holds_no_permit() {
    let answers = [transient(false), Verdict::Revoked, Verdict::Revoked].map(Answer::Verdict);
    let mut bench = bench_with(answers, 1, false);
    bench.deliver();
    bench.until_called(1).await;
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.gaps(), [0], "the second job was called while the first one waited");
    assert_eq!(bench.next().await, Out::Done);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_past_the_hold_is_parked_and_back_from_it_gets_one_attempt() {
    let mut bench = bench((0..100).map(|_| Answer::Verdict(transient(true))));
    bench.deliver();
    let Out::Parked(STAY, history) = bench.next().await else { panic!("not parked") };
    assert_eq!(history.stays, 1);
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
    let calls = history.attempts;
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| back.metadata.history = history);
    let Out::Parked(delay, history) = bench.next().await else { panic!("not parked") };
    assert_eq!((delay, history.stays, history.attempts), (STAY * 6, 2, calls + 1));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_parked_before_the_hold_has_the_rest_of_it() {
    let answers = [transient(false), transient(false), Verdict::Revoked].map(Answer::Verdict);
    let mut bench = bench(answers);
    let first = bench.pipeline.clock.now().checked_sub(STAY);
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| {
        back.metadata.history =
            History { attempts: 1, stays: 1, first_failed_at: first, ..History::default() };
    });
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.gaps(), [250, 500]);
    bench.end().await;
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Pauses the worker for a day, or lets it run. A job that was parked half an hour before returns after that day and
/// fails once more, while another job is answered. Half an hour is half of its limit.
async fn a_parked_job_fails_after_a_day(paused: bool) -> Out {
    let answers = [Answer::Gated(transient(false))];
    let answered = [Verdict::Revoked, Verdict::Revoked].map(Answer::Verdict);
    let mut bench = bench(answers.into_iter().chain(answered));
    let flow = Arc::clone(&bench.pipeline.flow);
    tokio::time::advance(HOLD).await;
    let parked_at = bench.pipeline.clock.now();
    let history = History {
        attempts: 9,
        stays: 1,
        first_failed_at: parked_at.checked_sub(HOLD * 30),
        parked_at: Some(parked_at),
        ..History::default()
    };
    let call = || async {
        match flow.start(Lane::Bulk, ClientKey::default()).await {
            Admission::Granted(permit) => permit,
            Admission::WaitElsewhere(_) => panic!("no room"),
        }
    };
    if paused {
        for _ in 0..20 {
            let failed = flow::CallOutcome::Failed {
                overload: false,
                busy: false,
                job_fault: false,
                retry_after: None,
            };
            call().await.finish(failed);
        }
        assert_ne!(flow.status().borrow().phase, flow::Phase::Running);
    }
    tokio::time::advance(DAY).await;
    call().await.finish(flow::CallOutcome::Revoked);
    assert_eq!(flow.status().borrow().phase, flow::Phase::Running);
    bench.deliver_with(r#"{"refresh_token":"parked"}"#, |back| back.metadata.history = history);
    bench.until_called(1).await;
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done, "others are answered");
    bench.pipeline.endpoint.gate.add_permits(1);
    let out = bench.next().await;
    bench.end().await;
    out
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_after_a_long_pause_ends_no_job() {
    let out = a_parked_job_fails_after_a_day(true).await;
    let Out::Parked(_, history) = out else { panic!("{out:?}") };
    assert_eq!(history.paused, DAY, "the pause travels with the job");
}

/// The control: the same day without a pause.
#[tokio::test(start_paused = true)]
async fn a_job_that_fails_all_day_while_others_are_answered_is_given_up() {
    let out = a_parked_job_fails_after_a_day(false).await;
    assert!(matches!(out, Out::Dead(Reason::Exhausted, _)), "{out:?}");
}

/// The time before the start of this process is unknown, so it ends no job.
#[tokio::test(start_paused = true)]
async fn a_stay_that_no_worker_has_seen_ends_no_job() {
    let answers = [Answer::Gated(transient(false)), Answer::Verdict(Verdict::Revoked)];
    let mut bench = bench(answers);
    let parked_at = bench.pipeline.clock.now().checked_sub(DAY);
    let history = History {
        attempts: 9,
        stays: 1,
        first_failed_at: parked_at.and_then(|at| at.checked_sub(HOLD * 30)),
        parked_at,
        ..History::default()
    };
    bench.deliver_with(r#"{"refresh_token":"parked"}"#, |back| back.metadata.history = history);
    bench.until_called(1).await;
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done, "others are answered");
    bench.pipeline.endpoint.gate.add_permits(1);
    let out = bench.next().await;
    let Out::Parked(_, history) = out else { panic!("{out:?}") };
    assert_eq!(history.paused, DAY);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn time_in_a_pause_takes_nothing_off_the_hold() {
    // In flight it fails at once and after 0.25 s, 0.75 s, and so on up to 30.75 s.
    let failures = (0..9).map(|_| Answer::Verdict(transient(false)));
    let mut bench = bench(failures.chain([Answer::Verdict(Verdict::Revoked)]));
    bench.deliver();
    // This sleep uses the paused clock.
    tokio::time::sleep(STAY * 4).await;
    assert_eq!(bench.gaps().len(), 7);
    bench.pipeline.flow.hold(true);
    tokio::time::sleep(STAY * 5).await;
    assert_eq!(bench.gaps().len(), 7, "nothing is called in the pause");
    bench.pipeline.flow.hold(false);
    let out = bench.next().await;
    assert_eq!(out, Out::Done, "it was parked though it has failed for less than the hold");
    assert!(bench.gaps().iter().sum::<u128>() > HOLD.as_millis(), "the pause outlasted the hold");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_no_job_and_parks_jobs_after_the_hold() {
    let mut bench = bench((0..200).map(|_| Answer::Verdict(transient(false))));
    let clock = CancellationToken::new();
    let flow = tokio::spawn(Arc::clone(&bench.pipeline.flow).run(clock.clone()));
    (0..30).for_each(|_| bench.deliver());
    let mut back = 0;
    for _ in 0..30 {
        match bench.next().await {
            Out::Requeued(_) => back += 1,
            Out::Parked(..) => {}
            other => panic!("an outage ends nothing: {other:?}"),
        }
    }
    assert!(back >= 10, "{back} handed back");
    bench.end().await;
    clock.cancel();
    flow.await.unwrap();
}

/// Too many requests for access tokens say nothing about the number of calls that the revoke endpoint bears.
#[tokio::test(start_paused = true)]
async fn a_busy_token_endpoint_lowers_no_limit() {
    let bench = bench([]);
    for (blame, expected) in [(Blame::Transport, true), (Blame::TokenEndpoint, false)] {
        let failure = Failure { blame, ..Failure::unanswered(ResultLabel::Http429, false) };
        let outcome = bench.pipeline.call_outcome(&Verdict::Transient(failure), false);
        let CallOutcome::Failed { overload, busy, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((overload, busy), (expected, expected), "{blame:?}");
    }
    bench.end().await;
}
