//! The output of commands: a failed write is an error; a closed reader is not.

use std::{fs, process::Command};

use serde_json::json;

use crate::harness::{DEAD, Endpoint, Launch, Message, Stage, Swept, token};

/// The launch without and with `--json`.
fn in_both_forms(launch: Launch) -> [Launch; 2] {
    [launch.clone(), launch.arg("--json")]
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
    commands.push((check.clone(), 0));
    // Nothing listens there, nor behind the next one.
    commands.push((check.set("broker.url", "amqp://127.0.0.1:1"), 2));
    commands.push((stage.launch("healthcheck").arg("--address").arg("127.0.0.1:1"), 1));
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
