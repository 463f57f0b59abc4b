//! Tests of unusual files: lines, records, jobs and the summary agree.

use serde_json::json;

use super::{Input, counts, summary};
use crate::harness::{BULK, Stage, StoredMessage, token};

fn tokens(letters: &[StoredMessage]) -> Vec<String> {
    letters.iter().map(StoredMessage::token).collect()
}

/// A file that was joined by hand: two exports with header rows and byte order marks, tokens with extra characters, and
/// an unclosed quote. A dry run reports the lines, and the valid jobs are published.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_joined_files_are_reported_and_the_rest_is_published() {
    let stage = Stage::new().await;
    let content = format!(
        "refresh_token,note\r\n{},\"of two\r\nlines\"\r\n\u{feff}refresh_token,note\r\n {},\r\n{},\r\n\
         {},\"x\r\n{}\r\n{}\r\n",
        token(0),
        token(1),
        token(2),
        token(3),
        token(4),
        token(5),
    );
    let input = Input::new("leak.csv", content);
    let (look, status) = input.enqueue(&stage).arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(3), "{}", look.stderr());
    assert_eq!(counts(&look), [5, 2, 3, 0]);
    assert_eq!(
        summary(&look)["remarks"],
        json!({
            "refused_by_kind": { "header_row": 1, "odd_token": 1, "stray_quote": 1 },
            "swallowed_lines": 2,
            "lines_inside_quotes": 1,
            "records_over_lines": 1,
            "spanning_lines": [2],
            "byte_order_marks": 1,
            "marked_lines": [4],
        })
    );
    let refused: Vec<u64> =
        look.said("refused").iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(refused, [4, 5, 7]);

    let path = input.folder.path().join(input.name);
    let (enqueue, status) = stage.enqueue().arg(path.display()).run().await;
    assert_eq!(status.code(), Some(3), "{}", enqueue.stderr());
    let said = enqueue.stdout();
    for sentence in [
        "refused: 1 header_row, 1 odd_token, 1 stray_quote\n",
        "lines behind a stray quote, none of them read as a job: 2\n",
        "lines inside quotes, part of the record before them: 1, behind line 2\n",
        "files seem to be joined there: line 4\n",
    ] {
        assert!(said.contains(sentence), "no {sentence:?} in {said}");
    }
    assert_eq!(tokens(&stage.amqp.take(BULK, 2).await), [token(0), token(2)]);
}

/// Joined JSON lines: a byte order mark before a line is left out of the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_does_not_reach_the_queue() {
    let stage = Stage::new().await;
    let job = |n| json!({ "refresh_token": token(n) }).to_string();
    let input = Input::new("jobs.ndjson", format!("\u{feff}{}\n\u{feff}{}\n", job(0), job(1)));
    let (enqueue, status) = input.enqueue(&stage).run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    assert_eq!(summary(&enqueue)["remarks"]["marked_lines"], json!([2]));
    let letters = stage.amqp.take(BULK, 2).await;
    assert_eq!(
        letters.iter().map(|letter| letter.body.as_slice()).collect::<Vec<_>>(),
        [job(0).as_bytes(), job(1).as_bytes()]
    );
}

/// Tests of the options for columns and delimiters.
#[tokio::test(flavor = "multi_thread")]
async fn columns_and_delimiters_follow_the_options() {
    let stage = Stage::new().await;
    let content = format!("id\tleaked\tmail\n{}\t{}\tann\n", token(7), token(0));
    let input = Input::new("export.tsv", content);
    let (enqueue, status) = input.enqueue(&stage).arg("--format").arg("csv").run().await;
    assert_eq!(status.code(), Some(2), "{}", enqueue.stderr());
    assert!(enqueue.stderr().contains("--delimiter tab"), "{}", enqueue.stderr());
    let launch = input.enqueue(&stage).arg("--delimiter").arg("tab");
    let launch = launch.arg("--column").arg("refresh_token=leaked");
    let (enqueue, status) = launch.arg("--column").arg("username=mail").run().await;
    assert_eq!(status.code(), Some(0), "{}", enqueue.stderr());
    let job: serde_json::Value =
        serde_json::from_slice(&stage.amqp.take(BULK, 1).await[0].body).unwrap();
    assert_eq!(job, json!({ "refresh_token": token(0), "username": "ann" }));
    for (option, value) in [
        ("--column", "refresh_token"),
        ("--column", "token=refresh_token"),
        ("--column", "refresh_token=nowhere"),
        ("--delimiter", "x"),
    ] {
        let launch = input.enqueue(&stage).arg("--delimiter=tab").arg(format!("{option}={value}"));
        let (enqueue, status) = launch.run().await;
        assert_eq!(status.code(), Some(2), "{option} {value}: {}", enqueue.stderr());
    }
}

/// A file without a line is probably the wrong file or an empty query result. Nothing is published, and the exit code
/// shows that.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_without_a_line_is_refused() {
    let stage = Stage::new().await;
    for (name, content) in [
        ("jobs.ndjson", ""),
        ("leak.csv", "refresh_token,note\r\n,\r\n"),
        ("tokens.txt", "\r\n \n"),
    ] {
        for option in ["--dry-run", "--rate=5"] {
            let input = Input::new(name, content);
            let (enqueue, status) = input.enqueue(&stage).arg(option).run().await;
            assert_eq!(status.code(), Some(2), "{name}: {}", enqueue.stderr());
            assert!(enqueue.stderr().contains("it holds no jobs"), "{name}: {}", enqueue.stderr());
        }
    }
    let (enqueue, status) = stage.enqueue().arg("-").input("").run().await;
    assert_eq!(status.code(), Some(2), "{}", enqueue.stderr());
    assert_eq!(stage.amqp.depth(BULK).await, None, "it was declared");
}

/// If the list of refused lines would overwrite or delete the input, nothing is published.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_refused_lines_is_never_the_input() {
    let stage = Stage::new().await;
    let content = format!("{}\n \n x\n", token(0));
    let input = Input::new("leak.txt", &content);
    std::fs::hard_link(input.folder.path().join(input.name), input.refused_file()).unwrap();
    let (enqueue, status) = input.enqueue(&stage).run().await;
    assert_eq!(status.code(), Some(2), "{}", enqueue.stderr());
    let said = enqueue.stderr();
    assert!(said.contains("the input and the list of refused lines at once"), "{said}");
    assert_eq!(counts(&enqueue), [0; 4]);
    assert_eq!(std::fs::read_to_string(input.refused_file()).unwrap(), content);
}
