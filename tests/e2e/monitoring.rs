//! Metrics that exist from the start and are correct, and probes.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::SystemTime,
};

use crate::harness::{
    Answer, DEAD, Endpoint, INTERACTIVE, Message, Stage, canary, message::text, scrape::Scrape,
    stage::CLIENT, token, worker::field,
};

const LANES: [&str; 2] = ["bulk", "interactive"];
const RESULTS: [&str; 12] = [
    "revoked",
    "rejected",
    "connect",
    "tls",
    "timeout",
    "reset",
    "http_3xx",
    "http_408",
    "http_429",
    "http_5xx",
    "http_4xx",
    "unrecognized",
];
const REASONS: [&str; 6] = [
    "rejected",
    "rejected_after_ambiguity",
    "invalid_job",
    "unknown_client",
    "exhausted",
    "internal_error",
];

/// Every counter that the documentation promises, with its labels in alphabetical order.
fn counters() -> Vec<String> {
    let mut counters = Vec::new();
    for lane in LANES {
        for outcome in ["revoked", "presumed_revoked", "duplicate", "expired", "dead_lettered"] {
            let labels = format!("{{lane=\"{lane}\",outcome=\"{outcome}\"}}");
            counters.push(format!("revocations_processed_total{labels}"));
        }
        for reason in REASONS {
            let labels = format!("{{lane=\"{lane}\",reason=\"{reason}\"}}");
            counters.push(format!("revocations_failed_total{labels}"));
            counters.push(format!("revocations_failed_without_age_total{labels}"));
        }
        for redelivered in ["false", "true"] {
            let labels = format!("{{lane=\"{lane}\",redelivered=\"{redelivered}\"}}");
            counters.push(format!("deliveries_total{labels}"));
        }
        for how in ["parked", "handed_back", "abandoned"] {
            counters.push(format!("deferrals_total{{how=\"{how}\",lane=\"{lane}\"}}"));
        }
        counters.push(format!("revocation_age_seconds_count{{lane=\"{lane}\"}}"));
        counters.push(format!("revocations_without_age_total{{lane=\"{lane}\"}}"));
    }
    for result in RESULTS {
        counters.push(format!("endpoint_calls_total{{result=\"{result}\"}}"));
    }
    for outcome in ["answered", "failed"] {
        counters.push(format!("endpoint_call_duration_seconds_count{{outcome=\"{outcome}\"}}"));
    }
    for end in
        ["connect_failed", "connection_lost", "channel_closed", "consumer_cancelled", "shutdown"]
    {
        counters.push(format!("broker_sessions_total{{ended_by=\"{end}\"}}"));
    }
    for outcome in ["confirmed", "nacked", "returned", "timed_out"] {
        for target in ["dead_letter", "retry"] {
            let labels = format!("{{outcome=\"{outcome}\",target=\"{target}\"}}");
            counters.push(format!("broker_publishes_total{labels}"));
        }
    }
    counters.push("job_attempts_count".to_owned());
    counters
}

/// A counter that appears only with its first event cannot be alerted on: all are there, at zero,
/// before the first job, and no others come with the jobs. Gauges are there as well.
#[tokio::test(flavor = "multi_thread")]
async fn every_counter_exists_at_zero_before_the_first_job() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| {
        if call.token.ends_with('1') { Answer::rejected() } else { Answer::revoked() }
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;
    // The worker is ready a moment before the metric shows it.
    let connected = |metrics: &Scrape| metrics.value("broker_connected") == 1;
    let before = worker.until_metrics("the connection", connected).await;
    for counter in counters() {
        assert_eq!(before.value(&counter), 0, "{counter}");
    }
    for state in ["waiting", "calling", "backing_off", "settling"] {
        assert_eq!(before.value(&format!("jobs_in_flight{{state=\"{state}\"}}")), 0);
    }
    for queue in ["interactive", "bulk", "parked", "dead"] {
        assert_eq!(before.value(&format!("queue_messages{{queue=\"{queue}\"}}")), 0);
    }
    for gauge in [
        "broker_blocked",
        "paused",
        "oldest_job_in_flight_seconds",
        "last_revoked_timestamp_seconds",
    ] {
        assert_eq!(before.value(gauge), 0, "{gauge}");
    }
    assert!(before.value("concurrency_limit") >= 1);
    assert_eq!(before.sum("build_info"), 1);
    assert!(before.text.contains("process_resident_memory_bytes"));

    stage.amqp.publish(INTERACTIVE, Message::job(&token(1)).id("one")).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(2)).id("two")).await;
    // The last metric of a job.
    let counted = |metrics: &Scrape| metrics.value("job_attempts_count") == 2;
    let after = worker.until_metrics("both jobs in the books", counted).await;
    assert_eq!((after.processed("dead_lettered"), after.processed("revoked")), (1, 1));
    assert_eq!(after.value(r#"deliveries_total{lane="interactive",redelivered="false"}"#), 2);
    assert!(after.value("last_revoked_timestamp_seconds") > 1_000_000_000);
    assert_eq!(after.names(), before.names(), "series came with the jobs");
    worker.stop().await;
}

/// A job's age follows from its timestamp in any unit. Without a plausible timestamp, the job is counted as one without
/// an age.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_usable_timestamp_is_counted_as_one_without_an_age() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|call| {
        if call.token == token(9) { Answer::rejected() } else { Answer::revoked() }
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let hour = 3600;
    let seconds = now.as_secs();
    let ages = [
        Some(seconds - hour),
        Some(1_000 * (seconds - hour)),
        Some(1_000_000 * (seconds - hour)),
        // A timestamp of a clock that is ahead of ours, within the allowed skew.
        Some(seconds + 30),
    ];
    let none = [Some(seconds + hour), Some(1_000 * (seconds + hour)), Some(0), Some(7), None];
    for (n, timestamp) in ages.into_iter().chain(none).enumerate() {
        let message = Message::job(&token(n)).with(|properties| match timestamp {
            Some(timestamp) => properties.with_timestamp(timestamp),
            None => properties,
        });
        stage.amqp.publish(INTERACTIVE, message).await;
    }
    let dead = Message::job(&token(9)).with(|properties| properties.with_timestamp(0));
    stage.amqp.publish(INTERACTIVE, dead).await;

    worker.until_processed("dead_lettered", 1).await;
    let metrics = worker.until_processed("revoked", ages.len() + none.len()).await;
    worker.stop().await;
    let of_lane = |name: &str| metrics.value(&format!("{name}{{lane=\"interactive\"}}"));
    assert_eq!(of_lane("revocation_age_seconds_count"), ages.len());
    let bucket = |le| format!("revocation_age_seconds_bucket{{lane=\"interactive\",le=\"{le}\"}}");
    assert_eq!(metrics.value(&bucket("900")), 1, "the clock that is ahead");
    assert_eq!(metrics.value(&bucket("14400")), ages.len(), "an hour old");
    assert_eq!(of_lane("revocations_without_age_total"), none.len());
    let dead = r#"revocations_failed_without_age_total{lane="interactive",reason="rejected"}"#;
    assert_eq!(metrics.value(dead), 1);
}

/// The depths come from the broker itself, dead letters among them.
#[tokio::test(flavor = "multi_thread")]
async fn queue_depths_are_sampled() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.publish_all(DEAD, (0..3).map(|_| Message::new("x"))).await;
    let dead = r#"queue_messages{queue="dead"}"#;
    worker.until_metrics("the dead letters", |metrics| metrics.value(dead) == 3).await;
    worker.stop().await;
}

/// `promtool check metrics` finds no fault.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_pass_promtool() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(1))).await;
    let metrics = worker.until_processed("revoked", 1).await;
    worker.stop().await;

    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed with Debian's package prometheus");
    promtool.stdin.take().unwrap().write_all(metrics.text.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{}", metrics.text);
}

/// One structured line for a job that ends badly, none for one that ends well: with a hundred of
/// those, the whole log has but a few lines.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_job_that_ends_badly_is_logged() {
    const GOOD: usize = 100;
    let stage = Stage::new().await;
    let rejected_token = token(0);
    let is_rejected = rejected_token.clone();
    let endpoint = Endpoint::start(move |call| {
        if call.token == is_rejected { Answer::rejected() } else { Answer::revoked() }
    })
    .await;
    let worker = stage.run(&endpoint).ready().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let message =
        Message::job(&rejected_token).id("rejected-job").header("traceparent", text(trace));
    stage.amqp.publish(INTERACTIVE, message).await;
    stage.amqp.publish_all(INTERACTIVE, (1..=GOOD).map(|n| Message::job(&token(n)))).await;
    worker.until_processed("revoked", GOOD).await;
    worker.until_processed("dead_lettered", 1).await;
    worker.until_log_lines("job dead-lettered", 1).await;
    // A separate thread writes the log: it is complete when the worker has ended.
    worker.signal("TERM");
    worker.exit().await;

    let lines = worker.log_lines();
    let of_jobs: Vec<_> = lines.iter().filter(|line| field(line, "job_id").is_some()).collect();
    assert_eq!(of_jobs.len(), 1, "{of_jobs:#?}");
    let line = of_jobs[0].to_string();
    for part in ["rejected-job", "rejected", "interactive", "0af7651916cd43dd8448eb211c80319c"] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    assert!(lines.len() < GOOD / 4, "{lines:#?}");
}

/// The exit code of `revoker healthcheck` equals the state of `/readyz`.
#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_asks_the_worker() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage.run(&endpoint).ready().await;
    let ask = stage.launch("healthcheck").set("admin.listen", worker.admin().await);
    let ask = ask.arg("--timeout").arg("60s");
    let (_, status) = ask.run().await;
    assert_eq!(status.code(), Some(0));
    worker.kill().await;
    let (asked, status) = ask.run().await;
    assert_eq!(status.code(), Some(1), "{}", asked.stderr());
}

/// The page names the process and what it calls, and the causes of dead letters. A client id is whatever a producer
/// wrote: one that is a token is not shown.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_groups_dead_letters_by_cause_and_shows_no_token() {
    const REJECTED: usize = 30;
    let stage = Stage::new().await;
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    let worker = stage.run(&endpoint).ready().await;
    let of_client = |n: usize, client: &str| {
        Message::new(
            serde_json::json!({ "refresh_token": token(n), "client_id": client }).to_string(),
        )
    };
    let stranger = of_client(1, "<b>stranger</b>");
    let leaking = of_client(2, &token(2));
    stage.amqp.publish_all(INTERACTIVE, [stranger, leaking]).await;
    stage.amqp.publish_all(INTERACTIVE, (0..REJECTED).map(|n| Message::job(&token(10 + n)))).await;
    worker.until_processed("dead_lettered", REJECTED + 2).await;
    let page = worker.until_page("/", "to tell of the rejections", |page| {
        page.body.contains("Running, but ") && page.body.contains(" answers were rejections.")
    });
    let page = page.await.body;
    canary::assert_clean("the status page", page.as_bytes());
    let host = Command::new("uname").arg("-n").output().unwrap().stdout;
    let host = String::from_utf8(host).unwrap().trim().to_owned();
    let origin = endpoint.url().rsplit_once('/').unwrap().0.to_owned();
    for told in [
        format!("<dt>Host</dt><dd>{host}, process {}</dd>", worker.pid()),
        format!("<dt>Instance</dt><dd>{}</dd>", worker.admin().await),
        format!("<dt>Endpoint</dt><dd>{origin}</dd>"),
        "<dt>Profile</dt><dd>alignet</dd>".to_owned(),
        format!("<code>rejected</code> · {CLIENT}<br>"),
        format!("<td>{REJECTED}</td>"),
        "<code>unknown_client</code> · &lt;b&gt;stranger&lt;/b&gt;<br>".to_owned(),
        "<code>unknown_client</code> · [redacted]<br>".to_owned(),
    ] {
        assert!(page.contains(&told), "no {told} in {page}");
    }
    worker.stop().await;
}
