//! How a job ends.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_job_is_called_once_and_done() {
    let mut bench = bench([Answer::Verdict(Verdict::Revoked)]);
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    let metrics = bench.end().await;
    assert!(metrics.contains(
        r#"revoker_revocations_processed_total{lane="interactive",outcome="revoked"} 1"#
    ));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_and_then_a_rejection_is_a_rejection_after_ambiguity() {
    let mut bench = bench([transient(true), rejected()].map(Answer::Verdict));
    bench.deliver();
    let Out::Dead(reason, history) = bench.next().await else { panic!("not dead") };
    assert_eq!((reason, history.attempts), (Reason::RejectedAfterAmbiguity, 2));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_job_that_is_rejected_is_a_rejection_after_ambiguity() {
    let mut bench = bench([Answer::Verdict(rejected())]);
    bench.deliver_with(r#"{"refresh_token":"t"}"#, |again| again.metadata.redelivered = true);
    let Out::Dead(Reason::RejectedAfterAmbiguity, history) = bench.next().await else {
        panic!("not dead")
    };
    assert_eq!(history.ambiguity, Some(Ambiguity::Redelivered));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_job_and_an_unknown_client_are_not_called() {
    let mut invalid = bench([]);
    invalid.deliver_with("not a job", |_| {});
    assert!(matches!(invalid.next().await, Out::Dead(Reason::InvalidJob, _)));
    invalid.end().await;
    let mut unknown = bench_with([], 1, true);
    unknown.deliver();
    assert!(matches!(unknown.next().await, Out::Dead(Reason::UnknownClient, _)));
    unknown.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_not_called_also_after_a_wait() {
    let mut bench = bench([Answer::Verdict(transient(false))]);
    bench.deliver_with(r#"{"refresh_token":"t","expires_at":999999940}"#, |_| {});
    assert_eq!(bench.next().await, Out::Done);
    // The token is valid at the first attempt, and expired after the wait.
    bench.deliver_with(r#"{"refresh_token":"t","expires_at":999999940.1}"#, |_| {});
    assert_eq!(bench.next().await, Out::Done);
    let metrics = bench.end().await;
    assert!(metrics.contains(r#"{lane="interactive",outcome="expired"} 2"#));
    assert!(metrics.contains(r#"revoker_endpoint_calls_total{result="timeout"} 1"#));
}

/// A job's age depends on its producer's clock. The job has no age if that clock is too far ahead, or if there is no
/// timestamp. It is then counted as a job without an age, with any outcome.
#[tokio::test(start_paused = true)]
async fn a_job_has_an_age_or_is_counted_as_one_without() {
    let now = TestClock(Instant::now()).now();
    let second = Duration::from_secs(1);
    let sent = [
        Some(now - 7 * second),
        Some(now),
        Some(now + ALLOWED_SKEW),
        Some(now + ALLOWED_SKEW + second),
        None,
    ];
    let answers = [Verdict::Revoked, rejected()].into_iter().flat_map(|v| vec![v; sent.len()]);
    let mut bench = bench(answers.map(Answer::Verdict));
    for round in 0..2 {
        for (n, published_at) in sent.into_iter().enumerate() {
            let body = format!(r#"{{"refresh_token":"t{round}{n}"}}"#);
            bench.deliver_with(&body, |delivery| delivery.metadata.published_at = published_at);
            bench.next().await;
        }
    }
    let metrics = bench.end().await;
    for line in [
        r#"revoker_revocation_age_seconds_count{lane="interactive"} 3"#,
        r#"revoker_revocation_age_seconds_sum{lane="interactive"} 7"#,
        r#"revoker_revocations_without_age_total{lane="interactive"} 2"#,
        r#"revoker_revocations_failed_total{lane="interactive",reason="rejected"} 5"#,
        r#"revoker_revocations_failed_without_age_total{lane="interactive",reason="rejected"} 2"#,
        r#"revoker_revocations_failed_without_age_total{lane="bulk",reason="rejected"} 0"#,
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "no {line} in {metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_own_job_and_nothing_else() {
    let mut bench = bench([Answer::Panic, Answer::Verdict(Verdict::Revoked)]);
    bench.deliver();
    let Out::Dead(Reason::InternalError, history) = bench.next().await else { panic!("not dead") };
    assert_eq!(history.ambiguity, Some(Ambiguity::Attempt), "it was in a call");
    bench.deliver();
    assert_eq!(bench.next().await, Out::Done);
    bench.end().await;
}
