//! `revoker dead-letters show`: everything about one letter but its secrets.

use std::{fmt::Write as _, time::SystemTime};

use serde::Serialize;
use serde_json::Value;

use super::{
    Ended, Tools, failure::Failure, moment::rfc3339, print, print_json, reading, record::Record,
    table::age,
};
use crate::{
    broker::MessageDetails,
    domain::{Ambiguity, Lane, StoredLetter},
};

/// Letters of one name that are shown: a token may have died many times.
const SHOWN: usize = 20;

/// Shows everything about a dead letter but its secrets
///
/// Several letters can go by one fingerprint: all of them are shown, up to 20.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters show logout-7\n  \
                        revoker dead-letters show ba7816bf8f01 --json")]
pub struct Args {
    /// A job id or a fingerprint, as list shows them
    #[arg(value_name = "ID|FINGERPRINT")]
    name: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a script gets of one letter.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    record: Record,
    job: Option<Value>,
    other_fields: usize,
    properties: serde_json::Map<String, Value>,
    foreign_headers: Vec<String>,
    deaths: Vec<String>,
}

/// Shows.
pub async fn run(args: &Args, tools: &mut Tools) -> Result<Ended, Failure> {
    let mut found = Vec::new();
    let mut more = 0;
    let seen = reading::read(&mut tools.queue, &tools.stop, |held| {
        let letter = held.letter();
        if letter.goes_by(&args.name) {
            if found.len() < SHOWN {
                found.push((letter, held.details()));
            } else {
                more += 1;
            }
        }
        Ok(())
    })
    .await?;
    if found.is_empty() {
        let (queue, letters) = (tools.queue.name(), seen.looked_at);
        let notes = seen.notes();
        return Err(Failure::NotFound(format!(
            "none of the {letters} letters in {queue} goes by that job id or fingerprint; list shows them. \
             {notes}"
        )));
    }
    if args.json {
        print_json(&found.into_iter().map(Whole::from).collect::<Vec<_>>())?;
    } else {
        let pages: Vec<_> = found.iter().map(|found| page(found, tools.now)).collect();
        print(&pages.join("\n"))?;
        if more > 0 {
            print(&format!("\n... and {more} more go by that name\n"))?;
        }
    }
    Ok(Ended::Well)
}

impl From<(StoredLetter, MessageDetails)> for Whole {
    fn from((letter, details): (StoredLetter, MessageDetails)) -> Self {
        let properties = details.properties.into_iter();
        Self {
            record: Record::from(&letter),
            job: details.job,
            other_fields: details.other_fields,
            properties: properties.map(|(name, value)| (name.to_owned(), value.into())).collect(),
            foreign_headers: details.foreign_headers,
            deaths: details.deaths,
        }
    }
}

/// A letter, a line for each thing that it tells.
fn page((letter, details): &(StoredLetter, MessageDetails), now: SystemTime) -> String {
    let mut page = format!("{}\n", letter.id);
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "  {name:22}  {value}");
        }
    };
    let at = |time: Option<SystemTime>| {
        let time = time?;
        let ago = now.duration_since(time).unwrap_or_default();
        Some(format!("{} ({} ago)", rfc3339(time).unwrap_or_default(), age(ago)))
    };
    line("reason", Some(letter.reason.to_string()));
    line("detail", Some(letter.detail.clone()));
    line("fingerprint", letter.fingerprint.map(|fingerprint| fingerprint.to_string()));
    line("lane", letter.lane.map(Lane::as_str).map(str::to_owned));
    line("client", letter.client_id.clone());
    line("died", at(letter.dead_at));
    line("first failed", at(letter.first_failed_at));
    line("published", at(letter.published_at));
    line("attempts", letter.attempts.map(|attempts| attempts.to_string()));
    line("last error", letter.last_error.clone());
    line("code", letter.code.clone());
    line("HTTP status", letter.http_status.map(|status| status.to_string()));
    line("may be revoked already", Some(ambiguity(letter)));
    line("replays", Some(letter.replays.to_string()));
    line("headers left out", letter.headers_dropped.then(|| "yes, for their size".to_owned()));
    let bytes = letter.body_bytes;
    let (job, other) = (&details.job, details.other_fields);
    line("job", job.as_ref().map(|job| format!("{job} ({bytes} bytes)")));
    line("other fields", (other > 0).then(|| format!("{other}, not shown")));
    line("body", job.is_none().then(|| format!("{bytes} bytes, not shown: it is no job")));
    for (name, value) in &details.properties {
        line(name, Some(value.clone()));
    }
    let foreign = &details.foreign_headers;
    line("producer's headers", (!foreign.is_empty()).then(|| foreign.join(", ")));
    for death in &details.deaths {
        line("dropped by the broker", Some(death.clone()));
    }
    page
}

fn ambiguity(letter: &StoredLetter) -> String {
    match letter.ambiguity {
        None => "nothing says so",
        Some(Ambiguity::Attempt) => "yes: an attempt ended without an answer",
        Some(Ambiguity::Redelivered) => "perhaps: the job was delivered before",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::filter::tests::{letter, now};

    fn details() -> MessageDetails {
        MessageDetails {
            properties: vec![("content_type", "application/json".to_owned())],
            foreign_headers: vec!["tenant".to_owned(), "traceparent".to_owned()],
            deaths: Vec::new(),
            job: Some(serde_json::json!({ "refresh_token": "[ba7816bf8f01]" })),
            other_fields: 0,
        }
    }

    #[test]
    fn a_letter_has_a_line_for_each_thing_that_it_tells() {
        let page = page(&(letter(), details()), now());
        assert_eq!(
            page,
            "logout-7\n  \
             reason                  exhausted\n  \
             detail                  the endpoint answered others\n  \
             fingerprint             ba7816bf8f01\n  \
             lane                    bulk\n  \
             client                  shop\n  \
             died                    2023-11-14T22:12:20Z (1m ago)\n  \
             attempts                3\n  \
             may be revoked already  nothing says so\n  \
             replays                 0\n  \
             job                     {\"refresh_token\":\"[ba7816bf8f01]\"} (23 bytes)\n  \
             content_type            application/json\n  \
             producer's headers      tenant, traceparent\n"
        );
    }

    #[test]
    fn a_body_that_is_no_job_is_not_shown() {
        let opaque = MessageDetails {
            job: None,
            deaths: vec!["expired in q, 1 time(s)".to_owned()],
            ..details()
        };
        let page = page(&(StoredLetter { is_job: false, ..letter() }, opaque), now());
        assert!(
            page.contains("body                    23 bytes, not shown: it is no job\n"),
            "{page}"
        );
        assert!(page.ends_with("dropped by the broker   expired in q, 1 time(s)\n"), "{page}");
    }
}
