use super::*;
use crate::domain::backoff::Schedule;

const MINUTE: Duration = Duration::from_secs(60);

fn policy(presume: bool) -> Policy {
    Policy {
        retry: RetryPolicy {
            schedule: Schedule {
                initial: Duration::from_millis(250),
                multiplier: 2.0,
                max: Duration::from_secs(15),
                jitter: 0.0,
            },
            hold: MINUTE,
            park: vec![Duration::from_secs(10), MINUTE],
            give_up_after: 60 * MINUTE,
            retry_after_max: 5 * MINUTE,
        },
        presume_revoked_after_ambiguity: presume,
        rejects_repeats: true,
        gone: GonePolicy::Settle,
    }
}

fn context() -> AttemptContext {
    AttemptContext {
        now: SystemTime::UNIX_EPOCH + 1000 * MINUTE,
        failing_for: Duration::ZERO,
        others_answered: true,
        fingerprint: Fingerprint::of("abc"),
    }
}

fn rejection() -> Verdict {
    Verdict::Rejected(Rejection {
        code: "01".to_owned(),
        message: Some("no existe".to_owned()),
        http_status: 200,
    })
}

fn history(ambiguity: Option<Ambiguity>) -> History {
    History { attempts: 1, ambiguity, ..History::default() }
}

fn dead(decision: Decision) -> DeadLetter {
    match decision {
        Decision::Finish(Outcome::DeadLettered(letter)) => letter,
        other => panic!("not a dead letter: {other:?}"),
    }
}

#[test]
fn a_success_finishes_the_job() {
    let judged = judge(Verdict::Revoked, &mut history(None), &policy(false), context());
    assert_eq!(judged, Decision::Finish(Outcome::Done(Completion::Revoked)));
}

#[test]
fn a_rejection_is_dead_lettered_with_the_endpoints_answer() {
    let mut history = history(None);
    let letter = dead(judge(rejection(), &mut history, &policy(true), context()));
    assert_eq!(letter.reason, Reason::Rejected);
    assert_eq!(letter.detail, "the endpoint answered 01: no existe");
    assert_eq!(letter.code.as_deref(), Some("01"));
    assert_eq!(letter.http_status, Some(200));
    assert_eq!(history.last_error, Some(ResultLabel::Rejected));
    assert_eq!(history.first_failed_at, Some(context().now));
}

#[test]
fn a_rejection_after_ambiguity_is_presumed_revoked_only_by_choice_and_only_after_an_attempt_of_ours()
 {
    let cases = [
        (Ambiguity::Attempt, false, Some(Reason::RejectedAfterAmbiguity)),
        (Ambiguity::Attempt, true, None),
        (Ambiguity::Redelivered, false, Some(Reason::RejectedAfterAmbiguity)),
        (Ambiguity::Redelivered, true, Some(Reason::RejectedAfterAmbiguity)),
    ];
    for (ambiguity, presume, expected) in cases {
        let judged = judge(rejection(), &mut history(Some(ambiguity)), &policy(presume), context());
        match expected {
            Some(reason) => assert_eq!(dead(judged).reason, reason, "{ambiguity:?} {presume}"),
            None => {
                assert_eq!(judged, Decision::Finish(Outcome::Done(Completion::PresumedRevoked)));
            }
        }
    }
}

#[test]
fn a_failure_waits_as_long_as_the_server_asks_within_bounds() {
    let failure = |retry_after| {
        Verdict::Transient(Failure {
            http_status: Some(429),
            retry_after,
            ..Failure::unanswered(ResultLabel::Http429, false)
        })
    };
    for (asked, at_least) in
        [(None, Duration::ZERO), (Some(MINUTE), MINUTE), (Some(1440 * MINUTE), 5 * MINUTE)]
    {
        let mut history = history(None);
        let judged = judge(failure(asked), &mut history, &policy(false), context());
        assert_eq!(judged, Decision::Wait { at_least });
        assert_eq!(history.last_error, Some(ResultLabel::Http429));
        assert_eq!(history.ambiguity, None);
    }
}

#[test]
fn a_job_that_fails_past_the_hold_is_parked_with_its_history() {
    let mut history = history(None);
    let context = AttemptContext { failing_for: MINUTE, ..context() };
    let failure = Failure::unanswered(ResultLabel::Timeout, true);
    let Decision::Finish(Outcome::Parked(delay)) =
        judge(Verdict::Transient(failure), &mut history, &policy(false), context)
    else {
        panic!("not parked");
    };
    assert_eq!(delay, Duration::from_secs(10));
    assert_eq!(history.stays, 1);
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
}

#[test]
fn a_job_is_given_up_only_while_others_are_answered() {
    let old = History {
        attempts: 9,
        stays: 4,
        first_failed_at: Some(SystemTime::UNIX_EPOCH),
        ..History::default()
    };
    let failure = Verdict::Transient(Failure::unanswered(ResultLabel::Connect, false));
    let letter = dead(judge(failure.clone(), &mut old.clone(), &policy(false), context()));
    assert_eq!(letter.reason, Reason::Exhausted);
    let alone = AttemptContext { others_answered: false, ..context() };
    assert!(matches!(
        judge(failure, &mut old.clone(), &policy(false), alone),
        Decision::Finish(Outcome::Parked(_))
    ));
}

#[test]
fn an_accepted_request_is_done_and_claims_no_more_than_it_proves() {
    for (verdict, completion) in [
        (Verdict::Acknowledged, Completion::Acknowledged),
        (Verdict::Accepted, Completion::Accepted),
    ] {
        let judged = judge(verdict, &mut history(None), &policy(false), context());
        assert_eq!(judged, Decision::Finish(Outcome::Done(completion)));
    }
}

#[test]
fn a_gone_token_is_done_or_a_dead_letter_by_the_policy() {
    let gone = || Verdict::Gone(Rejection { code: String::new(), message: None, http_status: 404 });
    let judged = judge(gone(), &mut history(Some(Ambiguity::Attempt)), &policy(false), context());
    assert_eq!(judged, Decision::Finish(Outcome::Done(Completion::Gone)));
    let policy = Policy { gone: GonePolicy::DeadLetter, ..policy(false) };
    let mut history = history(None);
    let letter = dead(judge(gone(), &mut history, &policy, context()));
    assert_eq!((letter.reason, letter.code, letter.http_status), (Reason::Gone, None, Some(404)));
    assert_eq!(
        letter.detail,
        "the token does not exist any more: the endpoint answered with status 404: it gave no text"
    );
    assert_eq!(history.last_error, Some(ResultLabel::Gone));
}

/// If the endpoint does not reject repeated calls, an earlier call explains no rejection.
#[test]
fn a_rejection_stays_a_rejection_where_repeats_are_not_rejected() {
    let policy = Policy { rejects_repeats: false, ..policy(true) };
    for ambiguity in [Ambiguity::Attempt, Ambiguity::Redelivered] {
        let judged = judge(rejection(), &mut history(Some(ambiguity)), &policy, context());
        assert_eq!(dead(judged).reason, Reason::Rejected);
    }
}

/// An outage of introspection may have lasted for longer than the job may fail.
#[test]
fn a_job_is_given_up_only_after_a_whole_hold_of_failed_checks() {
    let failure = Failure::unanswered(ResultLabel::Connect, false);
    let old = History {
        first_failed_at: context().now.checked_sub(100 * MINUTE),
        stays: 9,
        ..history(None)
    };
    let wait = Decision::Wait { at_least: Duration::ZERO };
    for (failing_for, expected) in [(Duration::ZERO, Some(wait)), (MINUTE, None)] {
        let context = AttemptContext { failing_for, ..context() };
        let decision = judge_failed_check(&failure, &mut old.clone(), &policy(false), context);
        match expected {
            Some(expected) => assert_eq!(decision, expected),
            None => assert_eq!(dead(decision).reason, Reason::Exhausted),
        }
    }
    let alone = AttemptContext { others_answered: false, ..context() };
    let decision = judge_failed_check(&failure, &mut old.clone(), &policy(false), alone);
    assert!(matches!(decision, Decision::Finish(Outcome::Parked(_))), "{decision:?}");
}

/// A job that followed another one's calls made none of its own.
#[test]
fn a_letter_of_a_token_that_is_still_active_counts_no_calls() {
    let mut history = History::default();
    let verdict = Verdict::StillActive(ResultLabel::Acknowledged);
    let letter = dead(judge(verdict, &mut history, &policy(false), context()));
    assert_eq!(
        letter.detail,
        "introspection calls the token active after each call, of which the last one ended as acknowledged"
    );
}

#[test]
fn a_postponed_check_waits_and_is_parked_but_gives_nothing_up_and_names_no_error() {
    let first_failed_at = context().now.checked_sub(100 * MINUTE);
    for (failing_for, stays, parks) in
        [(Duration::ZERO, 0, false), (MINUTE, 0, true), (Duration::ZERO, 9, true)]
    {
        let mut history = History { stays, first_failed_at, ..history(None) };
        let context = AttemptContext { failing_for, ..context() };
        let judged = judge_postponed_check(true, &mut history, &policy(false), context);
        let parked = matches!(judged, Decision::Finish(Outcome::Parked(_)));
        assert_eq!(
            (parked, judged == Decision::Wait { at_least: Duration::ZERO }),
            (parks, !parks)
        );
        assert_eq!((history.last_error, history.ambiguity), (None, Some(Ambiguity::Attempt)));
    }
}
