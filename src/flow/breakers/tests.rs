use std::time::Duration;

use super::*;
use crate::{
    domain::{Failure, FailureClass, ResultLabel},
    flow::call_outcome::CallOutcome,
};

use CallOutcome::{NoAccess, Refused, Rejected, RejectedAsExpected, Revoked};

mod scenarios;

const A: ClientKey = ClientKey(0);
const B: ClientKey = ClientKey(1);

const SECOND: Duration = Duration::from_secs(1);

const FAILED: CallOutcome =
    CallOutcome::Failed { overload: false, busy: false, job_fault: false, retry_after: None };
const JOB_FAULT: CallOutcome =
    CallOutcome::Failed { overload: false, busy: false, job_fault: true, retry_after: None };

const fn retry_after(seconds: u64) -> CallOutcome {
    CallOutcome::Failed {
        overload: true,
        busy: true,
        job_fault: false,
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

#[test]
fn a_probe_that_was_never_called_leaves_its_turn_to_the_next() {
    let start = Instant::now();
    let mut breakers = Breakers::new(PauseSettings {
        after_failures: 1,
        probe_initial: SECOND,
        probe_max: SECOND,
        after_rejections: None,
        first_rejections: 0,
        expected_rejections: 0,
    });
    breakers.started(A, CallRole::Regular, start);
    breakers.call_ended((A, CallRole::Regular, 0), Duration::ZERO, &FAILED, false, start);
    let role = breakers.may_start(A, start + SECOND).unwrap();
    breakers.started(A, role, start);
    breakers.unused(A, role);
    assert_eq!(breakers.may_start(A, start + SECOND), Some(role), "at once");
}

/// The only client gets a pause of its own, so that it is named, until its secret is renewed.
#[test]
fn a_refused_client_is_named_and_resumes_with_a_new_secret() {
    let now = Instant::now();
    let mut breakers = guarded();
    answer_all(&mut breakers, Refused, now);
    let [(key, Some(paused))] = breakers.take_changes()[..] else { panic!("one is paused") };
    assert_eq!((key, paused.pause.cause), (A, PauseCause::Refused));
    assert!(breakers.pause().is_none(), "the worker itself is not");
    breakers.renew(A);
    assert_eq!(breakers.take_changes(), [(A, None)]);
    assert_eq!(breakers.may_start(A, now), Some(CallRole::Regular));
}

/// It is paused alone: other clients may still have tokens.
#[test]
fn a_client_without_an_access_token_stops_no_other() {
    let now = Instant::now();
    let mut breakers = guarded();
    answer_all(&mut breakers, NoAccess, now);
    let [(key, Some(paused))] = breakers.take_changes()[..] else { panic!("one is paused") };
    assert_eq!((key, paused.pause.cause), (A, PauseCause::NoAccess));
    assert!(breakers.pause().is_none(), "the worker itself is not");
    assert_eq!(breakers.may_start(B, now), Some(CallRole::Regular));
    breakers.call_ended((A, CallRole::ClientProbe, 9), SECOND, &Revoked, false, now + SECOND);
    assert_eq!(breakers.may_start(A, now + SECOND), Some(CallRole::Regular));
}

/// They wait for one token, and are refused it by one answer.
#[test]
fn calls_that_lack_the_same_access_token_count_once() {
    let (mut breakers, start) = (guarded(), Instant::now());
    for round in 1..=3 {
        assert_eq!(breakers.may_start(A, start), Some(CallRole::Regular), "{round} is too few");
        let now = start + SECOND * round;
        for _ in 0..9 {
            breakers.started(A, CallRole::Regular, now - SECOND);
            breakers.call_ended((A, CallRole::Regular, 0), SECOND, &NoAccess, false, now);
        }
    }
    let cause = breakers.pauses().next().map(|told| told.pause.cause);
    assert_eq!(cause, Some(PauseCause::NoAccess));
}

fn guarded() -> Breakers {
    Breakers::new(PauseSettings {
        after_failures: 3,
        probe_initial: SECOND,
        probe_max: SECOND * 4,
        after_rejections: None,
        first_rejections: 5,
        expected_rejections: 10,
    })
}

/// Starts calls of A until no more may start, and ends all of them with `outcome`.
fn answer_all(breakers: &mut Breakers, outcome: CallOutcome, now: Instant) -> u32 {
    let mut calls = 0;
    while let Some(role) = breakers.may_start(A, now) {
        breakers.started(A, role, now);
        calls += 1;
        assert!(calls < 1000);
    }
    for _ in 0..calls {
        breakers.call_ended((A, CallRole::Regular, 0), Duration::ZERO, &outcome, false, now);
    }
    calls
}

#[test]
fn a_client_for_which_nothing_was_ever_revoked_is_paused_after_its_first_rejections() {
    let (mut breakers, now) = (guarded(), Instant::now());
    breakers.know(2);
    assert_eq!(answer_all(&mut breakers, Rejected, now), 5, "no more than that could be rejected");
    let told = breakers.pauses().next().unwrap();
    assert_eq!((told.client, told.pause.cause), (A, PauseCause::NothingRevoked));
    assert_eq!(told.rejected_since, Some(now));
    assert_eq!(breakers.may_start(B, now), Some(CallRole::Regular));
    breakers.renew(A);
    assert_eq!(breakers.paused(), 0, "a new secret begins anew");
    assert_eq!(breakers.may_start(A, now), Some(CallRole::Regular));
}

/// Such a rejection says that the endpoint works, and nothing about the secret. Only as many as calls may have been in
/// flight are expected.
#[test]
fn expected_rejections_end_a_pause_for_failures_and_pause_no_client_up_to_their_bound() {
    let (mut breakers, now) = (guarded(), Instant::now());
    breakers.know(2);
    for _ in 0..2 {
        assert_eq!(answer_all(&mut breakers, RejectedAsExpected, now), 5);
    }
    assert_eq!(breakers.paused(), 0);
    fail_until_paused(&mut breakers, A, now);
    let due = now + SECOND;
    breakers.started(A, CallRole::ClientProbe, due);
    breakers.call_ended(
        (A, CallRole::ClientProbe, 0),
        Duration::ZERO,
        &RejectedAsExpected,
        false,
        due,
    );
    assert_eq!(breakers.paused(), 0, "the endpoint answers");
    assert_eq!(answer_all(&mut breakers, RejectedAsExpected, due), 4, "the eleventh counted");
    let causes: Vec<PauseCause> = breakers.pauses().map(|pause| pause.pause.cause).collect();
    assert_eq!(causes, [PauseCause::NothingRevoked]);
}

#[test]
fn a_pause_tells_when_the_first_of_its_rejections_came() {
    let (mut breakers, start) = (guarded(), Instant::now());
    breakers.know(2);
    for second in 0..5 {
        breakers.started(A, CallRole::Regular, start);
        breakers.call_ended(
            (A, CallRole::Regular, 0),
            Duration::ZERO,
            &Rejected,
            false,
            start + SECOND * second,
        );
    }
    let changes = breakers.take_changes();
    let [(A, Some(told))] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((told.rejected_since, told.pause.since), (Some(start), start + SECOND * 4));
}

#[test]
fn a_lifted_guard_resumes_its_client_until_the_secret_is_new() {
    let (mut breakers, now) = (guarded(), Instant::now());
    breakers.know(2);
    answer_all(&mut breakers, Rejected, now);
    breakers.lift_guard(A);
    assert_eq!(breakers.paused(), 0);
    for _ in 0..100 {
        assert_eq!(breakers.may_start(A, now), Some(CallRole::Regular));
        breakers.started(A, CallRole::Regular, now);
        breakers.call_ended((A, CallRole::Regular, 0), Duration::ZERO, &Rejected, false, now);
    }
    breakers.renew(A);
    assert_eq!(answer_all(&mut breakers, Rejected, now), 5, "a new secret begins anew");
    assert_eq!(breakers.paused(), 1);
}

#[test]
fn one_success_ends_the_guard_for_good() {
    let (mut breakers, now) = (guarded(), Instant::now());
    breakers.started(A, CallRole::Regular, now);
    breakers.call_ended((A, CallRole::Regular, 0), Duration::ZERO, &Revoked, false, now);
    for _ in 0..100 {
        breakers.started(A, CallRole::Regular, now);
        breakers.call_ended((A, CallRole::Regular, 0), Duration::ZERO, &Rejected, false, now);
    }
    assert_eq!(breakers.paused(), 0);
}

#[test]
fn refusals_of_an_overshoot_pause_no_client_and_lasting_ones_do() {
    let (mut breakers, now) = (guarded(), Instant::now());
    breakers.know(2);
    let refused =
        CallOutcome::Failed { overload: true, busy: true, job_fault: false, retry_after: None };
    for _ in 0..100 {
        breakers.started(A, CallRole::Regular, now);
        breakers.call_ended((A, CallRole::Regular, 0), Duration::ZERO, &refused, true, now);
    }
    assert_eq!(breakers.paused(), 0);
    breakers.started(A, CallRole::Regular, now);
    breakers.call_ended((A, CallRole::Regular, 0), Duration::ZERO, &refused, true, now + SECOND);
    assert_eq!(breakers.paused(), 1);
}

/// Fails calls of a client until it is paused.
fn fail_until_paused(breakers: &mut Breakers, key: ClientKey, now: Instant) {
    while breakers.stalled(key).is_none() {
        breakers.started(key, CallRole::Regular, now);
        breakers.call_ended((key, CallRole::Regular, 0), Duration::ZERO, &FAILED, false, now);
    }
}

/// The client can make no call any more, so no probe could end its pause.
#[test]
fn a_client_whose_secret_is_withdrawn_in_its_pause_stops_no_other() {
    let (mut breakers, now) = (guarded(), Instant::now());
    breakers.know(2);
    fail_until_paused(&mut breakers, A, now);
    breakers.know(1);
    assert_ne!(breakers.phase(now), Phase::Running, "all that are left seem to be paused");
    breakers.forget(A);
    assert_eq!((breakers.phase(now), breakers.paused()), (Phase::Running, 0));
    assert_eq!(breakers.may_start(B, now), Some(CallRole::Regular));
}

/// Without a pause for rejections, no call and no probe would start.
#[test]
fn rejections_that_become_too_many_in_a_pause_for_failures_pause_for_themselves() {
    let (mut breakers, now) = (guarded(), Instant::now());
    breakers.know(2);
    for _ in 0..4 {
        breakers.started(A, CallRole::Regular, now);
        breakers.call_ended((A, CallRole::Regular, 0), Duration::ZERO, &Rejected, false, now);
    }
    fail_until_paused(&mut breakers, A, now);
    let due = now + SECOND;
    assert_eq!(breakers.may_start(A, due), Some(CallRole::ClientProbe));
    breakers.started(A, CallRole::ClientProbe, due);
    breakers.call_ended((A, CallRole::ClientProbe, 0), Duration::ZERO, &Rejected, false, due);
    let causes: Vec<PauseCause> = breakers.pauses().map(|pause| pause.pause.cause).collect();
    assert_eq!(causes, [PauseCause::NothingRevoked]);
    assert_eq!(breakers.may_start(A, due + SECOND), Some(CallRole::ClientProbe));
}

#[test]
fn a_probe_starts_beside_earlier_calls_that_hang() {
    let (mut breakers, now) = (guarded(), Instant::now());
    breakers.know(2);
    breakers.lift_guard(A);
    (0..8).for_each(|_| breakers.started(A, CallRole::Regular, now));
    for _ in 0..100 {
        breakers.started(B, CallRole::Regular, now);
        breakers.call_ended((B, CallRole::Regular, 0), Duration::ZERO, &Revoked, false, now);
    }
    let later = now + SECOND * 10;
    assert_eq!(breakers.may_start(A, later), None, "its calls hang");
    for _ in 0..3 {
        breakers.call_ended((A, CallRole::Regular, 0), SECOND * 10, &FAILED, false, later);
    }
    assert!(breakers.stalled(A).is_some());
    assert_eq!(breakers.may_start(A, later + SECOND), Some(CallRole::ClientProbe));
}

/// A symptom of this class.
fn symptom(class: FailureClass, http_status: Option<u16>) -> Symptom {
    let failure = Failure::unanswered(ResultLabel::Reset, true);
    Symptom::of(&Failure { class, http_status, ..failure })
}

#[test]
fn a_pause_tells_the_symptom_of_the_last_failure_that_it_is_for() {
    let now = Instant::now();
    let mut breakers = Breakers::new(PauseSettings {
        after_failures: 2,
        probe_initial: SECOND,
        probe_max: SECOND,
        after_rejections: None,
        first_rejections: 0,
        expected_rejections: 0,
    });
    let fails = |breakers: &mut Breakers, outcome: CallOutcome, class, status| {
        let role = breakers.may_start(A, now + SECOND).unwrap();
        breakers.started(A, role, now);
        breakers.note(A, &outcome, symptom(class, status));
        breakers.call_ended((A, role, 0), Duration::ZERO, &outcome, false, now);
    };
    let reason = |breakers: &Breakers| breakers.pause().map(|pause| pause.reason());
    fails(&mut breakers, FAILED, FailureClass::ConnectionLost, None);
    fails(&mut breakers, JOB_FAULT, FailureClass::StatusOnly, Some(500));
    assert_eq!(reason(&breakers), None, "too few failures");
    fails(&mut breakers, FAILED, FailureClass::ConnectionLost, None);
    let silent = "the endpoint does not answer: the connection breaks before a response";
    assert_eq!(reason(&breakers).as_deref(), Some(silent));
    fails(&mut breakers, FAILED, FailureClass::Html, Some(502));
    let html = "the endpoint answers with HTTP status 502: an HTML page";
    assert_eq!(reason(&breakers).as_deref(), Some(html), "the probe's");
    fails(&mut breakers, JOB_FAULT, FailureClass::StatusOnly, Some(500));
    assert_eq!(reason(&breakers).as_deref(), Some(html), "a fault of one job explains nothing");
}

#[test]
fn the_pause_of_a_refused_client_tells_the_status() {
    let now = Instant::now();
    let mut breakers = guarded();
    breakers.note(A, &Refused, symptom(FailureClass::ClientRefused, Some(401)));
    answer_all(&mut breakers, Refused, now);
    let [(_, Some(paused))] = breakers.take_changes()[..] else { panic!("one is paused") };
    assert_eq!(
        paused.pause.reason(),
        "the endpoint refuses the client: its secret or its rights are wrong (last HTTP status 401)"
    );
}
