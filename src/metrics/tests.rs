use super::{
    labels::{Label, LabelSet},
    *,
};
use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(Build { version: "1.2.3", revision: "abc" }).unwrap())
}

/// Every series, without its value.
fn series(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

/// The value of one series, as it is exported.
fn value(metrics: &Metrics, series: &str) -> String {
    let text = metrics.render().unwrap();
    let mut samples = text.lines().filter_map(|line| line.rsplit_once(' '));
    let found = samples.find(|(name, _)| *name == series);
    found.unwrap_or_else(|| panic!("no series {series} in\n{text}")).1.to_owned()
}

/// Calls `act` for every value of a label.
fn each<L: Label>(act: impl FnMut(L)) {
    L::ALL.iter().copied().for_each(act);
}

/// Records every event, with every label.
fn use_everything(metrics: &Arc<Metrics>) {
    let now = SystemTime::now();
    let second = Duration::from_secs(1);
    for lane in Lane::ALL {
        metrics.delivered(lane, false);
        metrics.delivered(lane, true);
        metrics.revoked(lane, Some(second), now);
        metrics.revoked(lane, None, now);
        each(|outcome| metrics.processed(lane, outcome));
        each(|reason| metrics.failed(lane, reason));
        each(|reason| metrics.failed_without_age(lane, reason));
        each(|how| metrics.deferred(lane, how));
    }
    each(|target| each(|outcome| metrics.published(target, outcome)));
    each(|result| metrics.called(result, second));
    each(|result| metrics.checked(result));
    each(|by| metrics.session_ended(by));
    each(|queue| metrics.queue_messages(queue, u64::MAX));
    each(|state| drop(metrics.enter(state)));
    each(|what| metrics.message_mended(what));
    metrics.in_flight_bytes(u64::MAX);
    metrics.attempts(3);
    metrics.concurrency_limit(usize::MAX);
    metrics.paused(true);
    metrics.broker_connected(true);
    metrics.broker_blocked(true);
    metrics.client_secret_ignored();
    metrics.oldest_job_in_flight(second);
}

#[test]
fn every_series_exists_at_zero_from_the_start_and_use_adds_none() {
    let metrics = metrics();
    let before = metrics.render().unwrap();
    for line in before.lines().filter(|line| line.starts_with("revoker_")) {
        let expected = if line.starts_with("revoker_build_info") { " 1" } else { " 0" };
        assert!(line.ends_with(expected), "{line}");
    }
    use_everything(&metrics);
    let after = metrics.render().unwrap();
    assert_ne!(before, after);
    assert_eq!(series(&before), series(&after));
}

#[test]
fn every_counter_and_histogram_moves_when_its_thing_happens() {
    let metrics = metrics();
    use_everything(&metrics);
    let text = metrics.render().unwrap();
    let counted = |line: &&str| {
        line.starts_with("revoker_") && (line.contains("_total") || line.contains("_count"))
    };
    let still: Vec<_> = text.lines().filter(counted).filter(|line| line.ends_with(" 0")).collect();
    assert!(still.is_empty(), "{still:#?}");
}

#[test]
fn the_names_and_labels_are_those_that_dashboards_rely_on() {
    let metrics = metrics();
    let text = metrics.render().unwrap();
    let series = series(&text);
    for name in [
        r#"revocations_processed_total{lane="bulk",outcome="presumed_revoked"}"#,
        r#"revocations_failed_total{lane="interactive",reason="rejected_after_ambiguity"}"#,
        r#"deliveries_total{lane="bulk",redelivered="true"}"#,
        r#"deferrals_total{how="handed_back",lane="bulk"}"#,
        r#"endpoint_calls_total{result="http_3xx"}"#,
        r#"endpoint_call_duration_seconds_bucket{outcome="answered",le="0.005"}"#,
        r#"endpoint_call_duration_seconds_bucket{outcome="failed",le="30"}"#,
        r#"revocation_age_seconds_bucket{lane="interactive",le="86400"}"#,
        r#"revocations_without_age_total{lane="interactive"}"#,
        r#"revocations_failed_without_age_total{lane="bulk",reason="invalid_job"}"#,
        r#"job_attempts_bucket{le="1"}"#,
        r#"jobs_in_flight{state="backing_off"}"#,
        "oldest_job_in_flight_seconds",
        "concurrency_limit",
        "paused",
        r#"messages_mended_total{what="text"}"#,
        "in_flight_bytes",
        "broker_connected",
        "broker_blocked",
        r#"broker_sessions_total{ended_by="consumer_cancelled"}"#,
        r#"broker_publishes_total{outcome="timed_out",target="dead_letter"}"#,
        r#"queue_messages{queue="parked"}"#,
        "last_revoked_timestamp_seconds",
        "client_secrets_ignored_total",
        r#"build_info{revision="abc",version="1.2.3"}"#,
    ] {
        let name = format!("revoker_{name}");
        assert!(series.contains(name.as_str()), "no {name} in\n{text}");
    }
    assert!(cfg!(not(target_os = "linux")) || series.contains("process_resident_memory_bytes"));
}

#[test]
fn a_call_counts_as_answered_only_if_the_endpoint_itself_did() {
    let metrics = metrics();
    each(|result| metrics.called(result, Duration::from_secs(2)));
    let sum = |outcome| {
        let series =
            format!(r#"revoker_endpoint_call_duration_seconds_sum{{outcome="{outcome}"}}"#);
        value(&metrics, &series)
    };
    assert_eq!((sum("answered"), sum("failed")), ("10".to_owned(), "22".to_owned()));
}

#[test]
fn a_job_is_counted_in_one_state_until_it_is_gone_even_by_a_panic() {
    let metrics = metrics();
    let count = || {
        JobState::ALL
            .iter()
            .map(|&state| metrics.table.in_flight.of(state).get())
            .collect::<Vec<_>>()
    };
    let mut job = metrics.enter(JobState::Waiting);
    let other = metrics.enter(JobState::Waiting);
    assert_eq!(count(), [2, 0, 0, 0]);
    job.switch(JobState::Calling);
    assert_eq!(count(), [1, 1, 0, 0]);
    job.switch(JobState::Calling);
    assert_eq!(count(), [1, 1, 0, 0]);
    drop(other);
    assert_eq!(count(), [0, 1, 0, 0]);
    let panicked = std::thread::spawn(move || {
        let _job = job;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(count(), [0, 0, 0, 0]);
}

#[test]
fn hooks_run_before_each_rendering() {
    let metrics = metrics();
    metrics.on_scrape(|metrics| metrics.oldest_job_in_flight(Duration::from_millis(1500)));
    assert_eq!(value(&metrics, "revoker_oldest_job_in_flight_seconds"), "1.5");
}

#[test]
fn a_series_is_found_by_the_place_of_its_labels() {
    fn places_match<L: Label>() {
        for (place, label) in L::ALL.iter().enumerate() {
            assert_eq!(Label::index(*label), place, "{}", L::NAME);
        }
    }
    places_match::<Lane>();
    places_match::<Reason>();
    places_match::<ResultLabel>();
    places_match::<JobState>();
    let every = <(Lane, Reason)>::every();
    for lane in Lane::ALL {
        for reason in Reason::ALL {
            let found = &every[LabelSet::index((lane, reason))];
            assert_eq!(found, &[lane.as_str(), reason.as_str()]);
        }
    }
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let metrics = metrics();
    use_everything(&metrics);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is on the PATH (Debian's package `prometheus` has it)");
    promtool.stdin.take().unwrap().write_all(metrics.render().unwrap().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}
