//! The files that a sweep writes: none replaces another, and read-only media do not stop it.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::printed;
use crate::harness::{Answer, Endpoint, Launch, Swept, swept::text};

/// If an output path equals the input or another output, the only record of the remaining work would be lost. So the
/// sweep does not start.
#[tokio::test(flavor = "multi_thread")]
async fn no_output_is_written_over_another_file_of_the_sweep() {
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(2);
    let (input, journal) = (swept.input(), swept.journal());
    let list = swept.beside("tokens.txt.failed.ndjson");
    let link = swept.beside("link");
    std::os::unix::fs::symlink("tokens.txt", &link).unwrap();
    let dotted = swept.beside("./tokens.txt.journal.ndjson");
    for (option, place, roles) in [
        ("--report", &input, "the input and the report"),
        ("--report", &link, "the input and the report"),
        ("--report", &journal, "the journal and the report"),
        ("--report", &dotted, "the journal and the report"),
        ("--report", &list, "the list of failed lines and the report"),
        ("--journal", &input, "the input and the journal"),
        ("--journal", &list, "the journal and the list of failed lines"),
    ] {
        for dry_run in [true, false] {
            let launch = swept.launch(&endpoint).arg(option).arg(place.display());
            let launch = if dry_run { launch.arg("--dry-run") } else { launch };
            let (run, status) = launch.run().await;
            assert_eq!(status.code(), Some(2), "{option} {}: {}", place.display(), run.stderr());
            assert!(run.stderr().contains(roles), "no {roles:?} in {}", run.stderr());
        }
    }
    assert_eq!(fs::read_to_string(&input).unwrap(), text(1..=2));
    assert!(!journal.exists() && !list.exists());
    assert_eq!(endpoint.count(), 0);
    fs::remove_file(link).unwrap();
}

/// Gives a command a folder that it cannot write to, as a file on read-only media has.
fn on_read_only_media(launch: Launch, folder: &Path) -> Launch {
    // The mount is in a namespace of its own: no other process sees it, and it ends with the process.
    let folder = folder.display();
    launch.after(&format!(
        "[ \"$MOUNTED\" ] || MOUNTED=1 exec unshare --mount --map-root-user sh -c \
         'mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec \"$0\" \"$@\"' \
         \"$0\" \"$@\""
    ))
}

/// The file is on read-only media, journal and report are elsewhere: the failed lines are listed beside the journal,
/// and the report is printed and written.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_on_read_only_media_is_swept_with_a_journal_elsewhere() {
    let endpoint = Endpoint::start(|call| {
        if call.token.ends_with('3') { Answer::rejected() } else { Answer::revoked() }
    })
    .await;
    let swept = Swept::tokens(10);
    let elsewhere = tempfile::tempdir().unwrap();
    let (journal, report) = (elsewhere.path().join("j"), elsewhere.path().join("report.json"));
    let read_only = |launch: Launch| on_read_only_media(launch, swept.input().parent().unwrap());
    // Printed at once, before the first call.
    let (run, status) = read_only(swept.launch(&endpoint)).run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    let said = run.stderr();
    assert!(said.contains("Read-only file system") && said.contains("--journal"), "{said}");
    assert_eq!(endpoint.count(), 0);

    let launch = swept.launch(&endpoint).arg("--journal").arg(journal.display());
    let launch = read_only(launch.arg("--report").arg(report.display()).arg("--json"));
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(3), "{}", run.stderr());
    assert_eq!(endpoint.count(), 10);
    let written: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(written, printed(&run));
    let list = elsewhere.path().join("j.failed.ndjson");
    assert_eq!(written["failed_lines"], list.display().to_string());
    let list = fs::read_to_string(list).unwrap();
    assert!(list.starts_with("{\"line\":3,") && list.lines().count() == 1, "{list}");
    assert_eq!(fs::read_dir(swept.input().parent().unwrap()).unwrap().count(), 1);
}

/// Without failures no list is written, also on read-only media.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_without_failures_needs_no_list() {
    let endpoint = Endpoint::willing().await;
    let swept = Swept::tokens(3);
    let elsewhere = tempfile::tempdir().unwrap();
    let launch = swept.launch(&endpoint).arg("--journal").arg(elsewhere.path().join("j").display());
    let launch = on_read_only_media(launch, swept.input().parent().unwrap());
    let (run, status) = launch.run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert!(!run.stderr().contains("cannot be written"), "{}", run.stderr());
}

/// If one output cannot be written at the end, the others are still written, and the exit code is a failure.
#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_printed_and_written_if_other_outputs_fail() {
    let endpoint = Endpoint::start(|_| Answer::rejected()).await;
    // A folder of that name prevents the file for every user, including root.
    let swept = Swept::new("tokens.txt", text(1..=3));
    let list = swept.beside("tokens.txt.failed.ndjson");
    fs::create_dir(&list).unwrap();
    let report = swept.beside("report.json");
    let launch = swept.launch(&endpoint).arg("--json");
    let (run, status) = launch.clone().arg("--report").arg(report.display()).run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    assert!(
        run.stderr().contains("tokens.txt.failed.ndjson cannot be written"),
        "{}",
        run.stderr()
    );
    let written: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(written, printed(&run));
    let told: BTreeMap<&str, &Value> =
        ["finished", "failed_lines"].map(|name| (name, &written[name])).into();
    assert_eq!(told, [("finished", &Value::Bool(true)), ("failed_lines", &Value::Null)].into());
    fs::remove_dir(&list).unwrap();

    let (run, status) = launch.arg("--report").arg("/nowhere/report.json").run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    assert!(run.stderr().contains("/nowhere/report.json cannot be written"), "{}", run.stderr());
    assert_eq!(printed(&run)["failed_lines"], list.display().to_string());
    assert_eq!(swept.failed().len(), 3);
}
