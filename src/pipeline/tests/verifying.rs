//! Checks of a token's state, before and after its call.

use super::*;
use crate::domain::VerifyWhen;

pub(super) const ACTIVE: Result<TokenState, Failure> = Ok(TokenState::Active);
pub(super) const INACTIVE: Result<TokenState, Failure> = Ok(TokenState::Inactive);
pub(super) const FAILED: Result<TokenState, Failure> =
    Err(Failure::unanswered(ResultLabel::Connect, false));

pub(super) fn policy(when: VerifyWhen) -> VerifyPolicy {
    VerifyPolicy { when, ..VerifyPolicy::default() }
}

pub(super) fn checking(
    verify: VerifyPolicy,
    verdicts: impl IntoIterator<Item = Verdict>,
    states: impl IntoIterator<Item = Result<TokenState, Failure>>,
) -> Bench {
    let settings = Settings { verify, ..settings() };
    let bench = bench_of(verdicts.into_iter().map(Answer::Verdict), 1, false, settings);
    bench.pipeline.endpoint.states.lock().unwrap().extend(states);
    bench
}

impl Bench {
    /// Ends it. Every answer and every state must have been used. Returns the counts of the checks that are not zero.
    pub(super) async fn checks(self) -> Vec<(&'static str, usize)> {
        let pipeline = Arc::clone(&self.pipeline);
        let text = self.end().await;
        assert!(pipeline.endpoint.answers.lock().unwrap().is_empty(), "a call was not made");
        assert!(pipeline.endpoint.states.lock().unwrap().is_empty(), "a check was not made");
        let count = |result: &str| {
            let series = format!("revoker_verifications_total{{result=\"{result}\"}} ");
            let found = text.lines().find_map(|line| line.strip_prefix(&series));
            found.unwrap().parse().unwrap()
        };
        let all = ["inactive", "active", "untrusted", "failed"].map(|name| (name, count(name)));
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn active_before_and_inactive_after_is_verified() {
    let verify = policy(VerifyWhen::BeforeAndAfter);
    let mut bench = checking(verify, [Verdict::Revoked], [ACTIVE, INACTIVE]);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.checks().await, [("inactive", 1)]);
}

#[tokio::test(start_paused = true)]
async fn inactive_without_active_before_leaves_the_verdict_as_it_was() {
    let verify = policy(VerifyWhen::BeforeAndAfter);
    let mut bench = checking(verify, [Verdict::Revoked], [INACTIVE, INACTIVE]);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.checks().await, [("untrusted", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_delays_no_revocation() {
    let verify = policy(VerifyWhen::BeforeAndAfter);
    let mut bench = checking(verify, [Verdict::Revoked], [FAILED, INACTIVE]);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.checks().await, [("untrusted", 1), ("failed", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_stays_active_is_revoked_once_more_and_then_dead_lettered() {
    let verdicts = [Verdict::Revoked, Verdict::Revoked];
    let mut bench = checking(policy(VerifyWhen::After), verdicts, [ACTIVE, ACTIVE]);
    bench.deliver();
    let Out::Dead(Reason::StillActive, history) = bench.next().await else { panic!("not dead") };
    assert_eq!(history.attempts, 2);
    assert_eq!(history.last_error, Some(ResultLabel::Revoked));
    assert_eq!(history.ambiguity, None, "it survived every call");
    assert_eq!(bench.checks().await, [("active", 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_dies_of_the_second_call_is_verified() {
    let verdicts = [Verdict::Revoked, Verdict::Revoked];
    let mut bench = checking(policy(VerifyWhen::After), verdicts, [ACTIVE, INACTIVE]);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.checks().await, [("inactive", 1), ("active", 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_rejection_is_settled_by_a_trusted_check_alone() {
    for (trusts_inactive, state, expected) in
        [(true, INACTIVE, None), (false, INACTIVE, Some(Reason::RejectedAfterAmbiguity))]
    {
        let verify = VerifyPolicy { trusts_inactive, ..policy(VerifyWhen::Ambiguous) };
        let mut bench = checking(verify, [transient(true), rejected()], [state]);
        bench.deliver();
        match (bench.next().await, expected) {
            (Out::Done, None) => {}
            (Out::Dead(reason, history), Some(expected)) => {
                assert_eq!((reason, history.ambiguity), (expected, Some(Ambiguity::Attempt)));
            }
            (out, _) => panic!("{out:?}"),
        }
        bench.checks().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_nothing_explains_is_not_checked() {
    let mut bench = checking(policy(VerifyWhen::Ambiguous), [rejected()], []);
    bench.deliver();
    assert!(matches!(bench.next().await, Out::Dead(Reason::Rejected, _)));
    assert_eq!(bench.checks().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_is_repeated_and_the_call_is_not() {
    let states = [FAILED, FAILED, FAILED, INACTIVE];
    let mut bench = checking(policy(VerifyWhen::After), [Verdict::Revoked], states);
    let began = Instant::now();
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(began.elapsed().as_millis(), 250 + 500 + 1000);
    assert_eq!(bench.checks().await, [("untrusted", 1), ("failed", 3)]);
}

/// A job whose check fails for too long is parked. It is not given up, and its repetition may be rejected.
#[tokio::test(start_paused = true)]
async fn a_check_that_fails_for_long_parks_the_job() {
    let states = std::iter::repeat_n(FAILED, 100);
    let mut bench = checking(policy(VerifyWhen::After), [Verdict::Acknowledged], states);
    let first = bench.pipeline.clock.now().checked_sub(HOLD * 100);
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| {
        back.metadata.history = History { first_failed_at: first, ..History::default() };
    });
    let Out::Parked(_, history) = bench.next().await else { panic!("not parked") };
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
    assert_eq!(history.last_error, Some(ResultLabel::Connect));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_waits_for_as_long_as_the_operator_says() {
    let verify = VerifyPolicy { delay: STAY, ..policy(VerifyWhen::After) };
    let mut bench = checking(verify, [Verdict::Revoked], [INACTIVE]);
    let began = Instant::now();
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(began.elapsed(), STAY);
    bench.checks().await;
}

/// A redelivery alone proves too little to presume success, with a check that proves nothing as without one.
#[tokio::test(start_paused = true)]
async fn a_check_that_proves_nothing_presumes_nothing() {
    let mut settings = Settings { verify: policy(VerifyWhen::After), ..settings() };
    settings.policy.presume_revoked_after_ambiguity = true;
    for states in [vec![INACTIVE], vec![FAILED, INACTIVE]] {
        let answers = [Answer::Verdict(rejected())];
        let mut bench = bench_of(answers, 1, false, settings.clone());
        bench.pipeline.endpoint.states.lock().unwrap().extend(states);
        bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| back.metadata.redelivered = true);
        let Out::Dead(reason, history) = bench.next().await else { panic!("not dead") };
        assert_eq!(reason, Reason::RejectedAfterAmbiguity);
        assert_eq!(history.ambiguity, Some(Ambiguity::Redelivered));
        bench.checks().await;
    }
}

/// The token is alive after the rejection: no earlier call of ours explains it.
#[tokio::test(start_paused = true)]
async fn an_active_token_confirms_an_ambiguous_rejection() {
    let verify = policy(VerifyWhen::Ambiguous);
    let mut bench = checking(verify, [transient(true), rejected()], [ACTIVE]);
    bench.deliver();
    let Out::Dead(reason, history) = bench.next().await else { panic!("not dead") };
    assert_eq!((reason, history.ambiguity), (Reason::Rejected, None));
    assert_eq!(bench.checks().await, [("active", 1)]);
}

/// The follower had an ambiguous call in an earlier delivery. The check of the leader's token disproves that as well.
#[tokio::test(start_paused = true)]
async fn an_active_token_confirms_a_rejection_for_followers_too() {
    let mut settings = Settings { verify: policy(VerifyWhen::Ambiguous), ..settings() };
    settings.policy.presume_revoked_after_ambiguity = true;
    let mut bench = bench_of([Answer::Gated(rejected())], 8, false, settings);
    bench.pipeline.endpoint.states.lock().unwrap().push_back(ACTIVE);
    bench.deliver_same();
    bench.until_called(1).await;
    bench.deliver_with(r#"{"refresh_token":"same"}"#, |back| {
        back.metadata.history =
            History { ambiguity: Some(Ambiguity::Attempt), stays: 1, ..History::default() };
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    bench.pipeline.endpoint.gate.add_permits(1);
    for _ in 0..2 {
        let Out::Dead(reason, history) = bench.next().await else { panic!("not dead") };
        assert_eq!((reason, history.ambiguity), (Reason::Rejected, None));
    }
    assert_eq!(bench.checks().await, [("active", 1)]);
}

/// During a stop, an answered call is still checked, and no further call begins. A token that was seen active is not
/// ambiguous.
#[tokio::test(start_paused = true)]
async fn a_stop_finishes_the_check_of_an_answered_call() {
    for (state, expected) in [(INACTIVE, Out::Done), (ACTIVE, Out::Requeued(None))] {
        let verify = VerifyPolicy { delay: STAY, ..policy(VerifyWhen::After) };
        let mut bench = checking(verify, [Verdict::Revoked], [state]);
        bench.deliver();
        bench.until_called(1).await;
        tokio::time::sleep(STAY / 2).await;
        bench.pipeline.stop.start_draining();
        assert_eq!(bench.next().await, expected);
        bench.checks().await;
    }
}

/// The answer came before the end of the token.
#[tokio::test(start_paused = true)]
async fn a_token_that_expires_before_its_check_keeps_its_answer() {
    let verify = VerifyPolicy { delay: STAY, ..policy(VerifyWhen::After) };
    let mut bench = checking(verify, [Verdict::Revoked], [INACTIVE]);
    // Five seconds are left, including the allowed clock skew.
    bench.deliver_with(r#"{"refresh_token":"t","expires_at":999999945}"#, |_| {});
    assert_eq!(bench.next().await, Out::Done);
    let text = bench.end().await;
    assert!(
        text.contains(r#"revocations_processed_total{lane="interactive",outcome="revoked"} 1"#),
        "{text}"
    );
}

/// Followers get the verdict of a call only after its check.
#[tokio::test(start_paused = true)]
async fn followers_share_the_checked_verdict() {
    let mut bench = checking(policy(VerifyWhen::After), [], [ACTIVE, ACTIVE]);
    let verdicts = [Answer::Gated(Verdict::Revoked), Answer::Verdict(Verdict::Revoked)];
    bench.pipeline.endpoint.answers.lock().unwrap().extend(verdicts);
    for _ in 0..3 {
        bench.deliver_same();
    }
    bench.until_called(1).await;
    bench.pipeline.endpoint.gate.add_permits(1);
    for _ in 0..3 {
        assert!(matches!(bench.next().await, Out::Dead(Reason::StillActive, _)));
    }
    bench.checks().await;
}

/// A check takes a permit: with one at a time, no call begins during a check, and no check during a call.
#[tokio::test(start_paused = true)]
async fn checks_and_calls_share_the_permits() {
    let verdicts = std::iter::repeat_n(Verdict::Revoked, 5);
    let states = std::iter::repeat_n(INACTIVE, 5);
    let mut bench = checking(policy(VerifyWhen::After), verdicts, states);
    for _ in 0..5 {
        bench.deliver();
    }
    for _ in 0..5 {
        assert_eq!(bench.next().await, Out::Done);
    }
    assert_eq!(bench.checks().await, [("untrusted", 5)]);
}
