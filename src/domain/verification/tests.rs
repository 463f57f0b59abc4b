use super::*;
use crate::domain::{Failure, Rejection, ResultLabel};

fn rejected() -> Verdict {
    Verdict::Rejected(Rejection { code: "01".to_owned(), message: None, http_status: 200 })
}

fn policy(when: VerifyWhen) -> VerifyPolicy {
    VerifyPolicy { when, ..VerifyPolicy::default() }
}

#[test]
fn each_value_checks_what_those_before_it_check_and_more() {
    use VerifyWhen::{After, Ambiguous, BeforeAndAfter, Never};
    let failed = Verdict::Transient(Failure::unanswered(ResultLabel::Timeout, true));
    let attempt = Some(Ambiguity::Attempt);
    let cases = [
        // (verdict, ambiguity) -> from which value on
        (Verdict::Revoked, None, Some(After)),
        (Verdict::Revoked, attempt, Some(After)),
        (rejected(), attempt, Some(Ambiguous)),
        (rejected(), Some(Ambiguity::Redelivered), Some(Ambiguous)),
        (rejected(), None, None),
        (failed, attempt, None),
        (Verdict::Verified, attempt, None),
        (Verdict::StillActive(ResultLabel::Revoked), attempt, None),
    ];
    for (verdict, ambiguity, from) in cases {
        for when in [Never, Ambiguous, After, BeforeAndAfter] {
            let checks = policy(when).checks_after(&verdict, ambiguity);
            assert_eq!(checks, from.is_some_and(|from| when >= from), "{verdict:?} with {when:?}");
        }
    }
}

#[test]
fn a_token_is_looked_at_before_the_call_once_and_only_where_that_was_asked_for() {
    let looked = Sightings { looked_before: true, ..Sightings::default() };
    assert!(policy(VerifyWhen::BeforeAndAfter).looks_before(&Sightings::default()));
    assert!(!policy(VerifyWhen::BeforeAndAfter).looks_before(&looked));
    assert!(!policy(VerifyWhen::After).looks_before(&Sightings::default()));
}

#[test]
fn inactive_proves_something_only_after_active_or_where_the_server_is_trusted() {
    for (seen_active, trusts_inactive) in [(false, false), (true, false), (false, true)] {
        let mut sightings = Sightings { active: seen_active, ..Sightings::default() };
        let policy = VerifyPolicy { trusts_inactive, ..policy(VerifyWhen::After) };
        let (result, verdict) = policy.judge(TokenState::Inactive, rejected(), &mut sightings);
        if seen_active || trusts_inactive {
            assert_eq!((result, verdict), (CheckResult::Inactive, Some(Verdict::Verified)));
        } else {
            assert_eq!((result, verdict), (CheckResult::Untrusted, Some(rejected())));
        }
    }
}

#[test]
fn an_active_token_is_revoked_again_until_its_attempts_are_used_up() {
    for attempts in 1..=4 {
        let policy = VerifyPolicy { attempts, ..policy(VerifyWhen::After) };
        let mut sightings = Sightings::default();
        for attempt in 1..=attempts {
            let judged = policy.judge(TokenState::Active, Verdict::Revoked, &mut sightings);
            let last = attempt == attempts;
            let verdict = last.then_some(Verdict::StillActive(ResultLabel::Revoked));
            assert_eq!(judged, (CheckResult::Active, verdict), "attempt {attempt} of {attempts}");
        }
    }
}

/// The endpoint rejected the call, and no call before it worked.
#[test]
fn an_active_token_confirms_a_rejection() {
    let (mut sightings, policy) = (Sightings::default(), policy(VerifyWhen::Ambiguous));
    let judged = policy.judge(TokenState::Active, rejected(), &mut sightings);
    assert_eq!(judged, (CheckResult::Active, Some(rejected())));
    assert_eq!(sightings, Sightings { active: true, ..Sightings::default() });
    // Once the token survived a call that was to revoke it, a rejection explains nothing.
    sightings.survived = 1;
    let judged = policy.judge(TokenState::Active, rejected(), &mut sightings);
    let still_active = Verdict::StillActive(ResultLabel::Rejected);
    assert_eq!(judged, (CheckResult::Active, Some(still_active)));
}

/// The same client saw it active, so "inactive" after the next call is a proof.
#[test]
fn a_token_that_survived_once_and_then_did_not_is_verified() {
    let mut sightings = Sightings::default();
    let policy = policy(VerifyWhen::After);
    let (_, verdict) = policy.judge(TokenState::Active, Verdict::Revoked, &mut sightings);
    assert_eq!(verdict, None);
    let judged = policy.judge(TokenState::Inactive, Verdict::Revoked, &mut sightings);
    assert_eq!(judged, (CheckResult::Inactive, Some(Verdict::Verified)));
}
