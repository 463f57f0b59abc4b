use super::*;
use std::sync::{Arc, Mutex};
use tracing::subscriber::with_default;

/// The bytes that a writer got.
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

/// The log of `act`.
fn logged(level: LevelFilter, format: LineFormat, act: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    with_default(subscriber(level, format, move || writer.clone()), act);
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Logs one line with each of these targets at each level.
macro_rules! log_as {
    ($($target:literal),+ $(,)?) => {{$(
        tracing::error!(target: $target, payload = "canary", "as error");
        tracing::warn!(target: $target, payload = "canary", "as warn");
        tracing::info!(target: $target, payload = "canary", "as info");
        tracing::debug!(target: $target, payload = "canary", "as debug");
        tracing::trace!(target: $target, payload = "canary", "as trace");
    )+}};
}

/// The levels of the logged lines.
fn levels(log: &str) -> Vec<&str> {
    log.lines().map(|line| line.split("as ").nth(1).unwrap().split(' ').next().unwrap()).collect()
}

#[test]
fn crates_that_print_payloads_say_nothing_at_any_level() {
    let log = logged(LevelFilter::TRACE, LineFormat::Text { colours: false }, || {
        log_as!(
            "lapin",
            "lapin::channel",
            "lapin::channels",
            "lapin::connection",
            "lapin::consumer",
            "lapin::frames",
            "lapin::internal_rpc",
            "lapin::io_loop",
            "lapin::returned_messages",
            "amq_protocol::frame::generation",
            "amq_protocol_tcp",
            "amq_protocol_types::parsing",
            "amq_protocol_uri",
        );
    });
    assert_eq!(log, "");
}

#[test]
fn other_crates_never_say_more_than_info() {
    let others = || {
        log_as!("async_rs", "tcp_stream", "hyper::proto::h1", "h2::codec", "reqwest::connect");
    };
    let look = LineFormat::Text { colours: false };
    let at = |level| logged(level, look, others);
    for level in [LevelFilter::TRACE, LevelFilter::DEBUG, LevelFilter::INFO] {
        assert_eq!(levels(&at(level)), ["error", "warn", "info"].repeat(5), "{level}");
    }
    assert_eq!(levels(&at(LevelFilter::WARN)), ["error", "warn"].repeat(5));
    assert_eq!(at(LevelFilter::OFF), "");
}

#[test]
fn our_own_lines_follow_the_configured_level() {
    let ours = || log_as!("revoker::pipeline");
    let at = |level| logged(level, LineFormat::Text { colours: false }, ours);
    let all = ["error", "warn", "info", "debug", "trace"];
    for (level, count) in [
        (LevelFilter::TRACE, 5),
        (LevelFilter::DEBUG, 4),
        (LevelFilter::INFO, 3),
        (LevelFilter::ERROR, 1),
    ] {
        assert_eq!(levels(&at(level)), all[..count], "{level}");
    }
}

#[test]
fn json_lines_are_flat() {
    let log = logged(LevelFilter::INFO, LineFormat::Json, || {
        let span = tracing::info_span!("outer", hidden = true);
        let _entered = span.enter();
        tracing::info!(target: "revoker::test", lane = "bulk", attempts = 3, "a \"job\"\nended");
    });
    let (line, rest) = log.split_once('\n').unwrap();
    assert_eq!(rest, "");
    let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let mut keys: Vec<_> = line.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["attempts", "lane", "level", "message", "target", "timestamp"]);
    assert_eq!(line["message"], "a \"job\"\nended");
    assert_eq!(line["attempts"], 3);
    assert_eq!(line["level"], "INFO");
}

#[test]
fn a_command_on_a_terminal_prints_text_whatever_is_configured() {
    let colours = true;
    for configured in [LogFormat::Auto, LogFormat::Text, LogFormat::Json] {
        let of_command = LineFormat::of(configured, LogReader::Person, true, colours);
        assert_eq!(of_command, LineFormat::Brief { colours }, "{configured:?}");
    }
    let worker =
        |configured, terminal| LineFormat::of(configured, LogReader::Operator, terminal, terminal);
    assert_eq!(worker(LogFormat::Json, true), LineFormat::Json);
    assert_eq!(worker(LogFormat::Auto, true), LineFormat::Text { colours });
    assert_eq!(worker(LogFormat::Auto, false), LineFormat::Json);
    let piped = LineFormat::of(LogFormat::Text, LogReader::Person, false, false);
    assert_eq!(piped, LineFormat::Text { colours: false }, "a pipe gets what is configured");
    let brief = LineFormat::Brief { colours: false };
    let log = logged(LevelFilter::INFO, brief, || tracing::warn!(line = 3, "refused"));
    assert_eq!(log, " WARN refused line=3\n");
}

#[test]
fn text_is_coloured_only_where_colours_are_wanted() {
    let log = |colours| {
        logged(LevelFilter::INFO, LineFormat::Text { colours }, || tracing::info!("hello"))
    };
    assert!(log(true).contains('\u{1b}'));
    assert!(!log(false).contains('\u{1b}'));
}

#[test]
fn a_panic_is_logged_without_its_message() {
    let me = thread::current().id();
    let previous = Arc::new(panic::take_hook());
    let others = Arc::clone(&previous);
    // Tests run in parallel, so panics of other tests keep their report.
    panic::set_hook(Box::new(move |panic| {
        if thread::current().id() == me { log_panic(panic) } else { others(panic) }
    }));
    let log = logged(LevelFilter::INFO, LineFormat::Json, || {
        assert!(panic::catch_unwind(|| panic!("canary {}", 1)).is_err());
    });
    panic::set_hook(Box::new(move |panic| previous(panic)));
    assert!(log.contains("src/logs/tests.rs:"), "{log}");
    assert!(log.contains(r#""thread":"logs::tests::a_panic_is_logged"#), "{log}");
    assert!(!log.contains("canary"), "{log}");
}
