use std::{io, sync::Arc};

use tracing::subscriber::set_default;

use super::*;
use crate::domain::{FailureClass, ResultLabel};

const HTML: Failure = failed(ResultLabel::Unrecognized, FailureClass::Html, Some(200));
const CODE: Failure = failed(ResultLabel::Unrecognized, FailureClass::UnknownCode, Some(200));
const SILENT: Failure = failed(ResultLabel::Connect, FailureClass::ConnectionRefused, None);

const fn failed(label: ResultLabel, class: FailureClass, http_status: Option<u16>) -> Failure {
    Failure { class, http_status, size: Some(77), ..Failure::unanswered(label, true) }
}

/// The bytes of the log.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    /// Collects the log of this thread while the guard lives.
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).without_time();
        set_default(log.with_writer(move || writer.clone()).finish())
    }

    /// The lines since the last call.
    fn lines(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

fn note(log: &FailureLog, failure: &Failure) {
    log.note(Symptom::of(failure), failure);
}

#[tokio::test(start_paused = true)]
async fn the_first_failed_call_of_each_kind_is_logged_at_once() {
    let (captured, log) = (Captured::default(), FailureLog::default());
    let _collecting = captured.begin();
    for _ in 0..100 {
        for failure in [HTML, CODE, SILENT] {
            note(&log, &failure);
        }
    }
    let lines = captured.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for part in [
        "WARN",
        "a call failed",
        "cause=the endpoint answers with HTTP status 200: an HTML page",
        "of=endpoint",
        "result=unrecognized",
        "class=html",
        "http_status=200",
        "size=77",
    ] {
        assert!(lines[0].contains(part), "no {part} in {}", lines[0]);
    }
    assert!(lines[1].contains("class=unknown_code"), "{}", lines[1]);
    let silent = "cause=the endpoint does not answer: the connection is refused";
    assert!(lines[2].contains(silent) && !lines[2].contains("http_status"), "{}", lines[2]);
}

#[tokio::test(start_paused = true)]
async fn further_failures_of_a_kind_are_counted_in_one_line_a_minute() {
    let (captured, log) = (Captured::default(), FailureLog::default());
    let _collecting = captured.begin();
    for _ in 0..10 {
        note(&log, &HTML);
    }
    assert_eq!(captured.lines().len(), 1);
    let counting = async {
        tokio::time::sleep(EVERY.saturating_sub(LOOKED_AT)).await;
        assert_eq!(captured.lines(), Vec::<String>::new(), "within the minute");
        tokio::time::sleep(2 * LOOKED_AT).await;
        let lines = captured.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("calls failed") && lines[0].contains("calls=9"), "{lines:?}");
        tokio::time::sleep(10 * EVERY).await;
        assert_eq!(captured.lines(), Vec::<String>::new(), "none failed since");
    };
    tokio::select! {
        () = log.tell_counts() => {}
        () = counting => {}
    }
    note(&log, &HTML);
    assert_eq!(captured.lines().len(), 1, "it is the first one for long");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_told_is_told_at_the_end() {
    let (captured, log) = (Captured::default(), FailureLog::default());
    let _collecting = captured.begin();
    for failure in [HTML, HTML, HTML, SILENT] {
        note(&log, &failure);
    }
    captured.lines();
    log.tell_rest();
    log.tell_rest();
    let lines = captured.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("calls=2"), "{lines:?}");
}
