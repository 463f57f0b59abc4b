use std::fs;

use tempfile::TempDir;

use super::*;
use crate::{
    domain::{InvalidJob, TokenHash},
    input::{InputFormat, Options},
};

/// The survey of lines of NDJSON, and the refused lines that were told. The client `shop` has a secret, and no call can
/// be made for the client `odd`.
fn surveyed(lines: &[&str]) -> (Survey, Vec<RefusedLine>) {
    let folder = TempDir::new().unwrap();
    let input = folder.path().join("leak.ndjson");
    fs::write(&input, lines.join("\n")).unwrap();
    let settings = SweepSettings {
        input,
        journal: None,
        options: Options { format: Some(InputFormat::Ndjson), ..Options::default() },
        endpoint: "https://e".to_owned(),
        force: false,
        retry_failed: false,
        token_hash: TokenHash::Short,
        capacity: 1,
    };
    let admit = |job: &Job| match job.client_id.as_deref() {
        Some("shop") => Ok(()),
        Some("odd") => Err(InvalidJob::Unfit("client_id", "the path of the endpoint's URL").into()),
        Some(_) => Err(UnknownClient::NoSecret),
        None => Err(UnknownClient::NotNamed),
    };
    let mut told = Vec::new();
    let tell = |RefusedLine { line, kind, detail }: &RefusedLine| {
        told.push(RefusedLine { line: *line, kind, detail: detail.clone() });
    };
    let survey = survey(&settings, admit, tell).unwrap();
    (survey, told)
}

/// The sweep asks for the client before anything else, and so does the survey.
#[test]
fn a_job_of_a_client_without_a_secret_is_not_to_be_called() {
    let (survey, told) = surveyed(&[
        r#"{"refresh_token":"a","client_id":"shop"}"#,
        r#"{"refresh_token":"b","client_id":"stranger"}"#,
        r#"{"refresh_token":"b","client_id":"stranger"}"#,
        r#"{"refresh_token":"c"}"#,
        r#"{"refresh_token":"d","client_id":"stranger","expires_at":"2020-01-01T00:00:00Z"}"#,
        r#"{"refresh_token":"e","client_id":"shop","expires_at":"2020-01-01T00:00:00Z"}"#,
        r#"{"refresh_token":"f","client_id":"odd"}"#,
    ]);
    let Survey { to_call, unknown_client, repeated, expired, refused, .. } = survey;
    assert_eq!([to_call, unknown_client, repeated, expired, refused], [1, 3, 1, 1, 1]);
    assert_eq!(survey.unknown_client_lines, [2, 4, 5]);
    assert_eq!((told[0].line, told[0].kind), (7, "invalid_job"));
    assert!(survey.foresees_failures());
    let text = survey.to_string();
    assert!(text.contains("    unknown client, not to be called            3\n"), "{text}");
    assert!(text.contains("which would fail: line 2, 4, 5\n"), "{text}");
}

/// A script needs all of them before the sweep. The text has room for the first ones.
#[test]
fn every_refused_line_is_told_and_the_first_are_named() {
    let (survey, told) = surveyed(&["no job"; NAMED + 3]);
    assert_eq!(told.len(), NAMED + 3);
    assert!((1..).zip(&told).all(|(line, told)| line == told.line));
    assert_eq!(survey.refused_lines.len(), NAMED);
    let text = survey.to_string();
    assert!(text.contains("line 20: ") && !text.contains("line 21: "), "{text}");
    assert!(text.contains("and 3 more, which --json lists too\n"), "{text}");
}
