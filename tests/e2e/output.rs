//! The output of commands: a failed write is an error; a closed reader is not.

use std::{fs, process::Command};

use serde_json::json;

use crate::harness::{DEAD, Endpoint, Launch, Message, Stage, Swept, Terminal, token};

/// The launch without and with `--json`.
fn in_both_forms(launch: Launch) -> [Launch; 2] {
    [launch.clone(), launch.arg("--json")]
}

/// The launch with each name of the form.
fn in_every_form(launch: &Launch) -> [Launch; 3] {
    [launch.clone(), launch.clone().arg("--json"), launch.clone().arg("--output").arg("json")]
}

/// Every command whose result goes to standard output, with its normal exit code.
async fn commands(stage: &Stage, endpoint: &Endpoint, swept: &Swept) -> Vec<(Launch, i32)> {
    stage.amqp.declare_family().await;
    stage.amqp.publish(DEAD, Message::job(&token(1)).id("job-1")).await;
    let letters = |action: &str| stage.launch("dead-letters").arg(action);
    let file = swept.beside("exported.ndjson");
    let enqueue = stage.enqueue().arg(swept.input().display());
    let sweep = swept.launch(endpoint);
    let of_both_forms = [
        letters("list"),
        letters("show").arg("job-1"),
        letters("export").arg("--force").arg(file.display()),
        letters("replay").arg("--dry-run"),
        letters("discard").arg("--dry-run"),
        enqueue.clone().arg("--dry-run"),
        enqueue,
        sweep.clone().arg("--dry-run"),
        sweep,
    ];
    let mut commands: Vec<(Launch, i32)> =
        of_both_forms.into_iter().flat_map(in_both_forms).map(|launch| (launch, 0)).collect();
    let check = stage.launch("check").calling(endpoint);
    commands.extend(in_every_form(&check).map(|check| (check, 0)));
    // Nothing listens there, nor behind the next one.
    commands.push((check.set("broker.url", "amqp://127.0.0.1:1"), 2));
    let health = stage.launch("healthcheck").arg("--address").arg("127.0.0.1:1");
    commands.extend(in_every_form(&health).map(|health| (health, 1)));
    for arguments in [&["list"][..], &["show", "slack"], &["check", "slack"]] {
        let profile = arguments.iter().fold(Launch::bare("profile"), Launch::arg);
        commands.extend(in_every_form(&profile).map(|profile| (profile, 0)));
    }
    for option in ["--help", "--version"] {
        commands.push((Launch::bare(option), 0));
    }
    for subcommand in ["run", "enqueue", "sweep", "dead-letters", "mock-endpoint"] {
        commands.push((Launch::bare(subcommand).arg("--help"), 0));
    }
    commands
}

/// On a full disk, every command in both forms exits with 1 and an error message. Its work is done nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_a_failure() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(3);
    for (launch, code) in commands(&stage, &endpoint, &swept).await {
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(code), "{launch:?}: {}", run.stderr());
        assert!(!run.stdout().is_empty(), "{launch:?} prints nothing");

        let (run, status) = launch.clone().after("exec >/dev/full").run().await;
        assert_eq!(status.code(), Some(1), "{launch:?}: {}", run.stderr());
        let sentence = "standard output cannot be written: No space left on device";
        assert!(run.stderr().contains(sentence), "{launch:?}: {}", run.stderr());
    }
    assert_eq!(endpoint.count(), 3, "the sweep was done by the first of its runs");
    let enqueued = stage.amqp.take_all(crate::harness::BULK).await;
    assert_eq!(enqueued.len(), 4 * 3, "each run of enqueue has published its three jobs");
}

/// A script must be able to distinguish a lost summary from lost jobs.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_summary_of_published_jobs_is_distinguished() {
    let stage = Stage::new().await;
    let swept = Swept::tokens(3);
    let launch = stage.enqueue().arg(swept.input().display()).after("exec >/dev/full");
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    let lines = run.log_lines();
    let said = lines.iter().find(|line| line["enqueued"] == json!(3));
    let said = said.unwrap_or_else(|| panic!("{}", run.stderr()));
    assert!(
        said["message"].as_str().unwrap().contains("every line before 4 is finished"),
        "{said}"
    );
}

/// A reader that closes early, like `head`, is no error, and the exit code is that of the work.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_failure() {
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(3);
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = pipe.display();
    // Opened for both directions, so that no side waits; then for writing; then the only reader is closed.
    let nobody_reads = format!("exec 3<>{pipe} && exec >{pipe} && exec 3<&-");
    for (launch, code) in commands(&stage, &endpoint, &swept).await {
        let (run, status) = launch.clone().after(&nobody_reads).run().await;
        assert_eq!(status.code(), Some(code), "{launch:?}: {}", run.stderr());
        assert!(!run.stderr().contains("standard output"), "{launch:?}: {}", run.stderr());
        assert!(
            !run.stderr().to_lowercase().contains("broken pipe"),
            "{launch:?}: {}",
            run.stderr()
        );
    }
    // The pipe has no reader, so a write fails.
    let probe = format!("{nobody_reads}; trap '' PIPE; echo word");
    let written = Command::new("sh").args(["-c", &probe]).output().unwrap();
    assert!(!written.status.success(), "somebody reads");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A pipe gets no escapes. `--color always` gives it some, and `--color never` and `NO_COLOR` take them from a terminal.
#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_unless_they_are_asked_for() {
    const ESCAPE: char = '\u{1b}';
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(3);
    for (launch, code) in commands(&stage, &endpoint, &swept).await {
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(code), "{launch:?}: {}", run.stderr());
        let escapes = run.stdout().contains(ESCAPE) || run.stderr().contains(ESCAPE);
        assert!(!escapes, "{launch:?}: {} {}", run.stdout(), run.stderr());
    }
    let check = stage.launch("check").calling(&endpoint);
    let always = check.clone().arg("--color").arg("always");
    let (run, _) = always.clone().run().await;
    assert!(run.stdout().contains("\u{1b}[32mok   \u{1b}[0m"), "{:?}", run.stdout());
    let (run, status) = always.set("broker.url", "amqp://127.0.0.1:1").run().await;
    assert_eq!(status.code(), Some(2));
    assert!(run.stdout().contains("\u{1b}[31mFAULT\u{1b}[0m"), "{:?}", run.stdout());

    let (run, _) = check.clone().on_terminal().run().await;
    assert!(run.stdout().contains(ESCAPE), "a terminal has colours: {}", run.stdout());
    let (run, _) = check.clone().on_terminal().environment("NO_COLOR", 1).run().await;
    assert!(run.stdout().contains("ok") && !run.stdout().contains(ESCAPE), "{}", run.stdout());
    let (run, _) = check.on_terminal().arg("--color=never").run().await;
    assert!(run.stdout().contains("ok") && !run.stdout().contains(ESCAPE), "{}", run.stdout());
    for (launch, coloured) in [("--help", true), ("--nonsense", true), ("--version", false)] {
        let (run, _) = Launch::bare(launch).arg("--color").arg("always").run().await;
        let all = run.stdout() + &run.stderr();
        assert_eq!(all.contains(ESCAPE), coloured, "{launch}: {all:?}");
        let (run, _) = Launch::bare(launch).arg("--color").arg("never").on_terminal().run().await;
        assert!(!run.stdout().contains(ESCAPE), "{launch}: {}", run.stdout());
    }
}

/// On a terminal each row of a table is one line, and sentences keep their column.
#[tokio::test(flavor = "multi_thread")]
async fn tables_fit_the_columns_of_a_terminal() {
    let stage = Stage::new().await;
    stage.amqp.declare_family().await;
    let letters = (0..3).map(|n| {
        let id = format!("job-{n}-{}", "x".repeat(60));
        Message::job(&token(n)).id(&id)
    });
    stage.amqp.publish_all(DEAD, letters).await;
    let list = stage.launch("dead-letters").arg("list");
    let terminal = Terminal::start(&list, (72, 24));
    let screen = terminal.until(&["ended with"]).await;
    let rows: Vec<_> = screen.lines().filter(|line| line.contains("broker_dropped")).collect();
    assert_eq!(rows.iter().filter(|row| row.ends_with('…')).count(), 3, "{screen}");
    let (piped, _) = list.run().await;
    assert!(piped.stdout().lines().any(|line| line.chars().count() > 72), "{}", piped.stdout());
    assert_eq!(terminal.ended().await, 0);
}
