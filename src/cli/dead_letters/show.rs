//! `revoker dead-letters show`: everything about one dead letter except its secrets.

use std::{fmt::Write as _, time::SystemTime};

use serde::Serialize;

use super::{
    CommandContext,
    letter_json::LetterJson,
    reading::{notes, read_all},
    report,
    table::age,
};
use crate::{
    broker::MessageDetails,
    cli::{
        exit::{Exit, Failure},
        output::OutputArgs,
    },
    domain::{Ambiguity, Lane, StoredLetter, rfc3339},
};

/// The most dead letters that are shown: several may have the same token.
const SHOWN: usize = 20;

/// Show everything about a dead letter except its secrets
///
/// Several dead letters can have one fingerprint: up to 20 of them are shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters show logout-7\n  \
                        revoker dead-letters show ba7816bf8f01 --output json")]
pub(super) struct ShowArgs {
    /// A job id or a fingerprint, as list shows them
    #[arg(value_name = "ID|FINGERPRINT")]
    name: String,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct DetailsJson<'a> {
    #[serde(flatten)]
    letter: LetterJson<'a>,
    #[serde(flatten)]
    details: &'a MessageDetails,
}

pub(super) async fn run(args: &ShowArgs, context: &mut CommandContext) -> Result<Exit, Failure> {
    let mut found = Vec::new();
    let mut more = 0;
    let browse = read_all(context, async |message| {
        let letter = message.letter();
        if letter.matches_id(&args.name) {
            if found.len() < SHOWN {
                found.push((letter, message.details()));
            } else {
                more += 1;
            }
        }
        Ok(())
    })
    .await?;
    if found.is_empty() {
        let (queue, letters) = (context.queue.name(), browse.looked_at);
        let notes = notes(browse);
        return Err(Failure::new(format!(
            "none of the {letters} dead letters in {queue} has that job id or fingerprint; list shows them. {notes}"
        )));
    }
    let json =
        found.iter().map(|(letter, details)| DetailsJson { letter: LetterJson(letter), details });
    report(args.output, &json.collect::<Vec<_>>(), || {
        let mut pages: Vec<_> =
            found.iter().map(|(letter, details)| page((letter, details), context.now)).collect();
        pages.extend((more > 0).then(|| format!("... and {more} more have that name\n")));
        pages.join("\n")
    })?;
    Ok(Exit::Done)
}

/// A line for each known field of a dead letter.
pub(super) fn page((letter, details): (&StoredLetter, &MessageDetails), now: SystemTime) -> String {
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
    use crate::cli::dead_letters::testing::{letter, now};

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
    fn a_letter_has_a_line_for_each_known_field() {
        let page = page((&letter(), &details()), now());
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
        let page = page((&StoredLetter { is_job: false, ..letter() }, &opaque), now());
        assert!(
            page.contains("body                    23 bytes, not shown: it is no job\n"),
            "{page}"
        );
        assert!(page.ends_with("dropped by the broker   expired in q, 1 time(s)\n"), "{page}");
    }
}
