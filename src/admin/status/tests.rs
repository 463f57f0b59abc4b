use std::time::SystemTime;

use super::*;
use crate::{
    domain::{Lane, Reason},
    metrics::{Build, Processed},
    ports::PausedClient,
};

fn status() -> (Arc<Metrics>, StatusPage) {
    let build = Build { version: "1.2.3", revision: "abc" };
    let metrics = Arc::new(Metrics::new(build).unwrap());
    let mut subject = Subject::new("https://auth.example".to_owned(), "alignet".to_owned());
    subject.host = "worker-1".to_owned();
    subject.process = 7;
    (metrics.clone(), StatusPage::new(metrics, subject, "10.0.0.9:9464".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_the_state_and_the_faults() {
    let (metrics, status) = status();
    let looking = async {
        tokio::time::sleep(history::EVERY / 2).await;
        (0..50).for_each(|_| metrics.processed(Lane::Interactive, Processed::Revoked));
        metrics.processed(Lane::Bulk, Processed::DeadLettered);
        metrics.failed(Lane::Bulk, Reason::UnknownClient);
        metrics.called(ResultLabel::Connect, Duration::ZERO);
        (0..30).for_each(|_| metrics.called(ResultLabel::Revoked, Duration::ZERO));
        (0..50).for_each(|_| metrics.called(ResultLabel::Rejected, Duration::ZERO));
        metrics.dead_letter(Reason::UnknownClient, Some("<i>shop"), "no secret & nothing");
        tokio::time::sleep(history::EVERY).await;
        let since = SystemTime::now();
        let reason = "paused: the endpoint does not answer: no connection".to_owned();
        let until = Some(since + Duration::from_secs(3600));
        let parts = [("flow", Condition::Waiting { reason, since, until })];
        status.page(&parts, &[], Some("climbing, at 12 of 256")).into_string()
    };
    let page = tokio::select! {
        () = status.watch() => unreachable!("it never ends"),
        page = looking => page,
    };
    for told in [
        "<!DOCTYPE html>",
        "class=\"state waiting\">Paused since ",
        " because the endpoint does not answer: no connection, next probe in 59 min.",
        "<title>Revoker on worker-1: Paused since ",
        "<dt>Host</dt><dd>worker-1, process 7</dd>",
        "<dt>Instance</dt><dd>10.0.0.9:9464</dd>",
        "<dt>Endpoint</dt><dd>https://auth.example</dd>",
        "<dt>Profile</dt><dd>alignet</dd>",
        "<dt>Running for</dt><dd>7 s</dd>",
        "class=\"note waiting\"><p><strong>50 of the last 80 answers were rejections</strong> (62.5 %, within 5 s). \
         The endpoint does not know these tokens for their client.",
        "<h2>Dead letters by cause, since the start</h2>",
        "<code>unknown_client</code> · &lt;i&gt;shop<br><span class=\"hint\">no secret &amp; nothing</span></th>\
         <td>1</td>",
        "<h2>Now, and the last 5 s</h2>",
        "<figcaption>Done per second</figcaption><p class=\"value\">10</p>",
        "<figcaption>Concurrency limit</figcaption><p class=\"value\">0</p><p class=\"hint\">climbing, at 12 \
         of 256</p>",
        "<tr><th scope=\"row\">unknown client</th><td>1</td>",
        "<tr class=\"none\"><th scope=\"row\">exhausted</th><td>0</td>",
        "<code>connect</code>",
        "Version 1.2.3, revision abc.",
        "href=\"metrics\"",
    ] {
        assert!(page.contains(told), "no {told} in {page}");
    }
    assert_eq!(page.matches("<polyline").count(), 4);
    assert!(!page.contains("<script"));
}

#[test]
fn a_worker_that_has_just_started_has_numbers_and_no_lines_yet() {
    let page = status().1.page(&[], &[], None).into_string();
    assert!(page.contains("<h2>Now</h2>"), "{page}");
    assert!(!page.contains("<svg"), "{page}");
    assert_eq!(page.matches("a chart follows in a few seconds").count(), 4);
}

#[test]
fn words_from_outside_are_text_and_no_markup() {
    let reason = "<script>alert(1)</script> & \"more\"".to_owned();
    let page =
        status().1.page(&[("consumer", Condition::NotReady { reason })], &[], None).into_string();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp;"), "{page}");
    assert!(!page.contains("<script"), "{page}");
}

#[test]
fn a_paused_client_is_shown_escaped_with_its_commands() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(38_520);
    let client = PausedClient {
        id: "<b>shop</b>".to_owned(),
        reason: "nothing was revoked".to_owned(),
        since: now,
        next_probe: now + Duration::from_secs(12),
        audience: "https://api.example".to_owned(),
        endpoint: "https://auth.example/revoke".to_owned(),
        commands: vec![("Lists it", "revoker dead-letters list".to_owned())],
    };
    let page =
        page::paused_clients(&PausedClients { named: vec![client], more: 3 }, now).into_string();
    for expected in [
        "<strong>&lt;b&gt;shop&lt;/b&gt;</strong> since 10:42:00 UTC: nothing was revoked, next probe in 12 s.",
        "Audience https://api.example, endpoint https://auth.example/revoke",
        "<pre><code>revoker dead-letters list</code></pre>",
        "and 3 more",
    ] {
        assert!(page.contains(expected), "no {expected:?} in {page}");
    }
    assert_eq!(page::paused_clients(&PausedClients::default(), now).into_string(), "");
}
