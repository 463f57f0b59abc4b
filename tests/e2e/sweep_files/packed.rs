//! Tests of compressed and truncated files.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use super::{printed, tokens};
use crate::harness::{AnswerKind, Endpoint, Swept, swept::text};

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The part before the truncation is surveyed, and reported before the fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_truncated_file_reports_the_part_before() {
    let endpoint = Endpoint::willing().await;
    let junk = [&gzip(&text(1..=300))[..], b"<html>moved</html>"].concat();
    let swept = Swept::new("leak.txt.gz", junk);
    let (run, status) = swept.launch(&endpoint).arg("--dry-run").run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    let said = run.stdout();
    let row = said.lines().find(|line| line.trim_start().starts_with("to be called"));
    assert!(row.is_some_and(|row| row.ends_with(" 300")), "{said}");
    assert!(said.contains("cannot be read from line 301 on"), "{said}");
    assert!(run.stderr().contains("other data follows the gzip data"), "{}", run.stderr());
    let (run, status) = swept.launch(&endpoint).arg("--dry-run").arg("--json").run().await;
    assert_eq!(status.code(), Some(1), "{}", run.stderr());
    let told = printed(&run);
    assert_eq!([&told["lines"], &told["finished"]], [&Value::from(300), &Value::from(false)]);
}

/// A tape or a block device fills its last block with zeros, behind which there is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn zeros_behind_packed_data_are_no_fault() {
    let endpoint = Endpoint::willing().await;
    let padded = [gzip(&text(1..=500)), vec![0; 10_240], gzip(&text(501..=600)), vec![0; 100]];
    let swept = Swept::new("leak.txt.gz", padded.concat());
    let (run, status) = swept.launch(&endpoint).run().await;
    assert_eq!(status.code(), Some(0), "{}", run.stderr());
    assert_eq!(endpoint.told(AnswerKind::Revoked), tokens(1..=600));
    assert_eq!(swept.lines_with("revoked"), (1..=600).collect::<Vec<_>>());
}

/// Other data follows the compressed data, or its end is missing. The readable part is swept, and no resume command is
/// promised. After the file is repaired, the sweep continues with force.
#[tokio::test(flavor = "multi_thread")]
async fn packed_data_that_is_broken_is_not_promised_to_go_on() {
    let whole = gzip(&text(1..=3_000));
    for (content, said) in [
        (
            [&whole[..], b"<html>moved</html>"].concat(),
            "other data follows the gzip data; get the whole file",
        ),
        (whole[..whole.len() / 2].to_vec(), "the gzip data is cut short"),
    ] {
        let endpoint = Endpoint::willing().await;
        let swept = Swept::new("leak.txt.gz", content);
        let launch = swept.launch(&endpoint);
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(1), "{}", run.stderr());
        assert!(run.stderr().contains(said), "no {said} in {}", run.stderr());
        let report = run.stdout();
        assert!(report.contains("not finished") && report.contains("must be repaired"), "{report}");
        assert!(!report.contains("same command continues"), "{report}");
        let revoked = swept.lines_with("revoked").len();
        assert_eq!(endpoint.count(), revoked);
        assert!((100..=3_000).contains(&revoked), "{revoked}");

        // The second run ends at the same place.
        let (run, status) = launch.run().await;
        assert_eq!(status.code(), Some(1), "{}", run.stderr());
        assert_eq!(endpoint.count(), revoked);

        swept.write(&whole);
        let (run, status) = launch.arg("--force").run().await;
        assert_eq!(status.code(), Some(0), "{}", run.stderr());
        assert_eq!(endpoint.count(), 3_000, "a token was called twice");
    }
}
