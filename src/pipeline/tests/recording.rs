//! The records of jobs that ended.

use super::*;
use crate::domain::{Fingerprint, Proof, TokenHash, TokenName};

fn recorded(token_hash: TokenHash) -> Settings {
    let records = RecordSettings {
        events: true,
        log: false,
        token_hash,
        profile: "alignet".into(),
        endpoint: "https://auth.example".into(),
        takes_any_client: false,
    };
    Settings { records, ..settings() }
}

/// Delivers these jobs one after the other, and returns the events of those that ended.
async fn events_of(
    settings: Settings,
    answers: impl IntoIterator<Item = Verdict>,
    jobs: impl IntoIterator<Item = (&str, Option<&str>)>,
) -> Vec<JobRecord> {
    let mut bench = bench_of(answers.into_iter().map(Answer::Verdict), 1, false, settings);
    for (body, id) in jobs {
        bench.deliver_with(body, |job| job.metadata.message_id = id.map(str::to_owned));
        bench.next().await;
    }
    let events = Arc::clone(&bench.events);
    bench.end().await;
    std::mem::take(&mut *events.lock().unwrap())
}

const JOB: &str = r#"{"refresh_token":"abc"}"#;

#[tokio::test(start_paused = true)]
async fn each_end_of_a_job_is_recorded_with_its_proof() {
    let jobs = [
        (JOB, Some("logout-7")),
        (JOB, Some("logout-8")),
        (r#"{"refresh_token":"other"}"#, Some("logout-9")),
        (r#"{"refresh_token":"old","expires_at":999999900}"#, Some("logout-10")),
        ("no job", Some("logout-11")),
    ];
    let events = events_of(recorded(TokenHash::Short), [Verdict::Revoked, rejected()], jobs).await;
    let told: Vec<_> =
        events.iter().map(|event| (event.outcome, event.reason, event.proof)).collect();
    assert_eq!(
        told,
        [
            ("revoked", None, Proof::Said),
            ("duplicate", None, Proof::Earlier),
            ("dead_lettered", Some(Reason::Rejected), Proof::Nothing),
            ("expired", None, Proof::Producer),
            ("dead_lettered", Some(Reason::InvalidJob), Proof::Nothing),
        ]
    );
    let revoked = &events[0];
    assert_eq!(revoked.job_id.as_deref(), Some("logout-7"));
    assert_eq!(revoked.token.fingerprint, Fingerprint::parse("ba7816bf8f01"));
    assert_eq!((revoked.attempts, revoked.client_id.as_deref()), (1, Some("c")));
    let dead = &events[2];
    assert_eq!((dead.code.as_deref(), dead.http_status), (Some("01"), Some(200)));
    assert!(dead.detail.as_deref().is_some_and(|detail| detail.contains("01")));
    // The id of a body that is no job may be its token.
    assert_ne!(events[4].job_id.as_deref(), Some("logout-11"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_only_put_off_is_not_recorded() {
    let mut bench = bench_of(
        std::iter::repeat_n((), 40).map(|()| Answer::Verdict(transient(false))),
        1,
        false,
        recorded(TokenHash::Short),
    );
    bench.deliver();
    assert!(matches!(bench.next().await, Out::Parked(..)));
    assert!(bench.events.lock().unwrap().is_empty());
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_hash_nothing_in_a_record_is_made_of_the_token() {
    let jobs =
        [(JOB, None), (r#"{"refresh_token":"abcd"}"#, Some("logout-8")), ("no job", Some("x"))];
    let events =
        events_of(recorded(TokenHash::Omitted), [Verdict::Revoked, rejected()], jobs).await;
    assert!(events.iter().all(|event| event.token == TokenName::default()));
    let ids: Vec<_> = events.iter().map(|event| event.job_id.as_deref()).collect();
    assert_eq!(ids, [None, Some("logout-8"), None]);
}

/// A producer may put the token into any field.
#[tokio::test(start_paused = true)]
async fn the_name_of_an_unknown_client_is_left_out_if_it_shows_the_token() {
    let mut bench = bench_of([], 1, true, recorded(TokenHash::Short));
    bench.deliver_with(r#"{"refresh_token":"s3cretSecret","client_id":"of-s3cretSecret"}"#, |_| {});
    bench.deliver_with(r#"{"refresh_token":"s3cretSecret","client_id":"shop"}"#, |_| {});
    bench.next().await;
    bench.next().await;
    let clients: Vec<_> =
        bench.events.lock().unwrap().iter().map(|event| event.client_id.clone()).collect();
    assert_eq!(clients, [None, Some("shop".into())]);
    bench.end().await;
}

/// Where the endpoint takes any client, its name is the producer's text in each job.
#[tokio::test(start_paused = true)]
async fn where_any_client_is_taken_its_name_is_left_out_if_it_shows_the_token() {
    let mut settings = recorded(TokenHash::Short);
    settings.records.takes_any_client = true;
    let jobs = ["of-s3cretSecret", "shop"]
        .map(|client| format!(r#"{{"refresh_token":"s3cretSecret","client_id":"{client}"}}"#));
    let jobs = jobs.iter().map(|job| (job.as_str(), None));
    let events = events_of(settings, [Verdict::Revoked, Verdict::Revoked], jobs).await;
    let clients: Vec<_> =
        events.iter().map(|event| (event.outcome, event.client_id.as_deref())).collect();
    assert_eq!(clients, [("revoked", None), ("revoked", Some("shop"))]);
}

/// The worker stops while the broker's confirm of an event is on its way.
#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_the_confirm_of_its_event_has_a_second_after_the_cut_off() {
    for (events, waits) in [(true, Duration::from_secs(1)), (false, Duration::ZERO)] {
        let records = RecordSettings { events, ..recorded(TokenHash::Short).records };
        let settings = Settings { records, ..settings() };
        let answers = [Answer::Verdict(Verdict::Revoked)];
        let mut bench = bench_of(answers, 1, false, settings);
        bench.deliver_with(JOB, |delivery| delivery.stuck = true);
        bench.until_called(1).await;
        let began = Instant::now();
        bench.pipeline.stop.cut_off();
        assert_eq!(bench.next().await, Out::Dropped);
        assert_eq!(began.elapsed(), waits);
        bench.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recorded_unless_the_operator_wants_it() {
    let events = events_of(settings(), [Verdict::Revoked], [(JOB, None)]).await;
    assert!(events.is_empty());
}
