//! Jobs that leave before their check, and an introspection endpoint that hangs or fails.

use super::{
    verifying::{ACTIVE, FAILED, INACTIVE, checking, policy},
    *,
};
use crate::{domain::VerifyWhen, flow::CallOutcome};

impl Bench {
    pub(super) fn hang(&self, checks: usize) {
        self.pipeline.endpoint.hanging_checks.store(checks, Ordering::SeqCst);
    }

    pub(super) async fn until_hanging(&self) {
        while self.pipeline.endpoint.hanging_checks.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Pauses the worker, as after calls that fail.
    async fn pause(&self) {
        let flow = &self.pipeline.flow;
        tokio::spawn(Arc::clone(flow).run(CancellationToken::new()));
        for _ in 0..20 {
            match flow.start(Lane::Interactive, ClientKey::default()).await {
                Admission::Granted(permit) => permit.finish(CallOutcome::Failed {
                    overload: false,
                    busy: false,
                    job_fault: false,
                    retry_after: None,
                }),
                Admission::WaitElsewhere(_) => panic!("no room"),
            }
        }
    }
}

fn done(text: &str, outcome: &str) -> bool {
    text.contains(&format!(
        "revocations_processed_total{{lane=\"interactive\",outcome=\"{outcome}\"}} 1\n"
    ))
}

/// The endpoint said that the token is revoked. Called again, it would reject the token because of that.
#[tokio::test(start_paused = true)]
async fn where_no_check_is_answered_the_answer_of_the_endpoint_counts() {
    let states = std::iter::repeat_n(FAILED, 100);
    let mut bench = checking(policy(VerifyWhen::After), [Verdict::Revoked], states);
    let began = Instant::now();
    bench.deliver_same();
    bench.until_called(1).await;
    bench.deliver_same();
    let ends = [bench.next().await, bench.next().await];
    assert_eq!(ends, [Out::Done, Out::Done], "the duplicate hears of it");
    assert!(began.elapsed() >= HOLD, "it was checked for the whole hold");
    let text = bench.end().await;
    assert!(done(&text, "revoked") && done(&text, "duplicate"), "{text}");
}

/// After a long outage of introspection, the first check that fails while others are answered gives nothing up.
#[tokio::test(start_paused = true)]
async fn a_job_from_before_a_long_outage_of_introspection_is_checked_again() {
    let verdicts = [Verdict::Revoked, Verdict::Revoked];
    let mut bench = checking(policy(VerifyWhen::After), verdicts, [INACTIVE, FAILED, INACTIVE]);
    bench.hang(1);
    let first = bench.pipeline.clock.now().checked_sub(HOLD * 100);
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| {
        back.metadata.history = History { first_failed_at: first, stays: 9, ..History::default() };
    });
    bench.until_hanging().await;
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done, "the other one is checked");
    bench.pipeline.endpoint.gate.add_permits(1);
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.checks().await, [("untrusted", 2), ("failed", 1)]);
}

/// A stop does not wait for an introspection endpoint that fails.
#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_revoked_job_whose_check_has_failed() {
    let mut bench = checking(policy(VerifyWhen::After), [Verdict::Revoked], [FAILED]);
    bench.deliver();
    bench.until_called(1).await;
    let called = Instant::now();
    tokio::time::sleep(Duration::from_millis(1)).await;
    bench.pipeline.stop.start_draining();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(called.elapsed().as_millis(), 1);
    assert_eq!(bench.checks().await, [("failed", 1)]);
}

/// The token survived an answer "revoked". So the next one proves nothing.
#[tokio::test(start_paused = true)]
async fn an_answer_does_not_count_after_the_token_survived_one() {
    let states = std::iter::once(ACTIVE).chain(std::iter::repeat_n(FAILED, 100));
    let verify = VerifyPolicy { attempts: 3, ..policy(VerifyWhen::After) };
    let mut bench = checking(verify, [Verdict::Revoked, Verdict::Revoked], states);
    bench.deliver();
    let Out::Parked(_, history) = bench.next().await else { panic!("not parked") };
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
    bench.end().await;
}

/// In an earlier delivery, the token may have survived an answer "revoked". So the answer to this one needs its check.
#[tokio::test(start_paused = true)]
async fn after_an_ambiguous_delivery_an_answer_does_not_count_without_a_check() {
    let states = std::iter::repeat_n(FAILED, 100);
    let mut bench = checking(policy(VerifyWhen::After), [Verdict::Revoked], states);
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| {
        back.metadata.history =
            History { ambiguity: Some(Ambiguity::Attempt), stays: 1, ..History::default() };
    });
    let Out::Parked(_, history) = bench.next().await else { panic!("not parked") };
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt));
    bench.end().await;
}

/// The endpoint answers all checks but those of one token, and these at once: hardly another one ends meanwhile.
#[tokio::test(start_paused = true)]
async fn a_job_whose_checks_fail_is_given_up_while_others_are_checked_in_between() {
    let verdicts = std::iter::repeat_n(Verdict::Acknowledged, 100);
    let settings = Settings { verify: policy(VerifyWhen::After), ..settings() };
    let mut bench = bench_of(verdicts.map(Answer::Verdict), 8, false, settings);
    let state = |bench: &Bench, state| {
        bench.pipeline.endpoint.states.lock().unwrap().push_back(state);
    };
    bench.hang(1);
    let first = bench.pipeline.clock.now().checked_sub(HOLD * 100);
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |back| {
        back.metadata.history = History { first_failed_at: first, stays: 9, ..History::default() };
    });
    bench.until_hanging().await;
    let mut open = Some(());
    let ended = loop {
        state(&bench, INACTIVE);
        bench.deliver();
        match bench.next().await {
            Out::Done => {}
            ended => break ended,
        }
        state(&bench, FAILED);
        if open.take().is_some() {
            bench.pipeline.endpoint.gate.add_permits(1);
        }
        while !bench.pipeline.endpoint.states.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let Out::Dead(reason, _) = ended else { panic!("{ended:?}") };
    assert_eq!(reason, Reason::Exhausted);
}

/// The check outlives the grace of a stop. In another call, the endpoint would reject the token.
#[tokio::test(start_paused = true)]
async fn a_cut_off_during_a_check_keeps_the_answer_revoked() {
    for (verdict, expected) in [
        (Verdict::Revoked, Out::Done),
        (Verdict::Acknowledged, Out::Requeued(Some(Ambiguity::Attempt))),
    ] {
        let mut bench = checking(policy(VerifyWhen::After), [verdict], []);
        bench.hang(1);
        bench.deliver();
        bench.until_called(1).await;
        bench.until_hanging().await;
        bench.pipeline.stop.cut_off();
        assert_eq!(bench.next().await, expected);
    }
}

/// It survived a call, and may have died of it a moment later: the rejection is checked.
#[tokio::test(start_paused = true)]
async fn a_rejection_after_a_token_was_seen_active_is_checked() {
    let verdicts = [Verdict::Revoked, rejected()];
    let mut bench = checking(policy(VerifyWhen::After), verdicts, [ACTIVE, INACTIVE]);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.checks().await, [("inactive", 1), ("active", 1)]);
}

/// Introspection calls it active, so its time is not over, whatever the job says.
#[tokio::test(start_paused = true)]
async fn a_token_that_was_seen_active_after_its_end_is_not_expired() {
    let verify = VerifyPolicy { delay: STAY, ..policy(VerifyWhen::After) };
    let mut bench = checking(verify, [Verdict::Revoked, Verdict::Revoked], [ACTIVE, INACTIVE]);
    // Five seconds are left, with the skew that clocks may have.
    bench.deliver_with(r#"{"refresh_token":"t","expires_at":999999945}"#, |_| {});
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.gaps(), [STAY.as_millis()]);
    let text = bench.end().await;
    assert!(done(&text, "revoked"), "{text}");
}

/// A probe that checked first would prove nothing about the revoke endpoint.
#[tokio::test(start_paused = true)]
async fn a_probe_is_a_call_and_no_look() {
    let mut bench = checking(policy(VerifyWhen::BeforeAndAfter), [Verdict::Revoked], [INACTIVE]);
    bench.pause().await;
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(bench.checks().await, [("untrusted", 1)], "one check, after the call");
}

/// A check that hangs keeps no probe of a pause from the next job.
#[tokio::test(start_paused = true)]
async fn a_check_in_a_pause_leaves_the_probe_to_another_job() {
    let verify = VerifyPolicy { delay: STAY, ..policy(VerifyWhen::After) };
    let verdicts = [Verdict::Revoked, Verdict::Revoked];
    let mut bench = checking(verify, verdicts, [INACTIVE, INACTIVE]);
    bench.deliver();
    bench.until_called(1).await;
    tokio::time::sleep(STAY / 2).await;
    bench.hang(1);
    bench.pause().await;
    tokio::time::sleep(STAY / 2).await;
    bench.until_hanging().await;
    let hanging = Instant::now();
    bench.deliver();
    bench.until_called(2).await;
    assert_eq!(hanging.elapsed(), Duration::ZERO);
    bench.pipeline.endpoint.gate.add_permits(1);
    for _ in 0..2 {
        assert_eq!(bench.next().await, Out::Done);
    }
    assert_eq!(bench.checks().await, [("untrusted", 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_delays_its_call_by_five_seconds_at_most() {
    let mut bench = checking(policy(VerifyWhen::BeforeAndAfter), [Verdict::Revoked], [INACTIVE]);
    bench.hang(1);
    let began = Instant::now();
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert_eq!(bench.checks().await, [("untrusted", 1), ("failed", 1)]);
}

/// One job at a time, and the first one's check hangs: the second one is called all the same.
#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_gives_its_permit_back() {
    let verdicts = [Verdict::Revoked, Verdict::Revoked];
    let mut bench = checking(policy(VerifyWhen::After), verdicts, [INACTIVE, INACTIVE]);
    bench.hang(1);
    bench.deliver();
    bench.deliver();
    tokio::time::sleep(Duration::from_secs(5)).await;
    bench.until_called(2).await;
    assert_eq!(bench.gaps(), [5000]);
    bench.pipeline.endpoint.gate.add_permits(1);
    for _ in 0..2 {
        assert_eq!(bench.next().await, Out::Done);
    }
    assert_eq!(bench.checks().await, [("untrusted", 2)]);
}
