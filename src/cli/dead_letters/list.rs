//! `revoker dead-letters list`: what died, and why.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    Ended, Tools,
    counts::{Counts, several},
    failure::Failure,
    filter, print, print_json,
    reading::{self, Seen},
    record::Record,
    table::{self, Row},
};

/// Letters that the table shows unless told otherwise: the counts above it stay on the screen.
const SHOWN: usize = 50;

/// Lists dead letters, the oldest first, with a count of each reason on top
///
/// Changes nothing: every letter goes back to its place.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters list --reason exhausted --lane interactive --since 2h\n  \
                        revoker dead-letters list --json | jq -r '.letters[].fingerprint'")]
pub struct Args {
    #[command(flatten)]
    filter: filter::Args,

    /// Show at most so many letters; all that fit are counted. By default 50 in the table, all with --json
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
}

/// What a script gets.
#[derive(Debug, Serialize)]
struct Listing {
    queue: String,
    #[serde(flatten)]
    seen: Seen,
    matching: u64,
    reasons: Counts,
    letters: Vec<Record>,
}

/// Lists.
pub async fn run(args: &Args, tools: &mut Tools) -> Result<Ended, Failure> {
    let filter = args.filter.resolve(tools.now);
    let now = tools.now;
    let limit = args.limit.unwrap_or(if args.json { usize::MAX } else { SHOWN });
    let mut counts = Counts::default();
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    let seen = reading::read(&mut tools.queue, &tools.stop, |held| {
        let letter = held.letter();
        if filter.fits(&letter) {
            counts.add(letter.reason);
            match args.json {
                true if records.len() < limit => records.push(Record::from(&letter)),
                false if rows.len() < limit => rows.push(Row::of(&letter, now)),
                _ => {}
            }
        }
        Ok(())
    })
    .await?;
    let queue = tools.queue.name().to_owned();
    if args.json {
        let (matching, reasons) = (counts.total(), counts);
        print_json(&Listing { queue, seen, matching, reasons, letters: records })?;
    } else {
        print(&page(&queue, seen, &counts, &rows))?;
    }
    Ok(Ended::Well)
}

/// The counts, the table, and what is not in it.
fn page(queue: &str, seen: Seen, counts: &Counts, rows: &[Row]) -> String {
    let (letters, matching) = (u64::from(seen.looked_at), counts.total());
    let mut page = format!("{queue}: {}", several(letters, "dead letter"));
    if matching != letters {
        // Writing to a string cannot fail.
        let _ = write!(page, ", of which {matching} fit");
    }
    page.push('\n');
    page.push_str(&seen.notes());
    page.push_str(&counts.lines());
    if !rows.is_empty() {
        page.push('\n');
        page.push_str(&table::render(rows));
    }
    let more = matching.saturating_sub(rows.len() as u64);
    if more > 0 {
        let _ = writeln!(page, "... and {more} more; --limit shows more of them");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::filter::tests::{letter, now};

    fn counts(letters: usize) -> Counts {
        let mut counts = Counts::default();
        (0..letters).for_each(|_| counts.add(letter().reason));
        counts
    }

    #[test]
    fn the_page_says_what_it_leaves_out() {
        let seen = |looked_at| Seen { looked_at, held_by_others: 0, other_consumers: 0 };
        let row = Row::of(&letter(), now());
        assert_eq!(page("q.dead", seen(0), &counts(0), &[]), "q.dead: 0 dead letters\n");
        let whole = page("q.dead", seen(1), &counts(1), std::slice::from_ref(&row));
        assert!(
            whole.starts_with("q.dead: 1 dead letter\n  exhausted          1\n\nAGE  "),
            "{whole}"
        );
        assert!(!whole.contains("more"), "{whole}");
        let part = page("q.dead", seen(9), &counts(3), &[row]);
        assert!(part.starts_with("q.dead: 9 dead letters, of which 3 fit\n"), "{part}");
        assert!(part.ends_with("... and 2 more; --limit shows more of them\n"), "{part}");
        let held = Seen { looked_at: 0, held_by_others: 4, other_consumers: 1 };
        assert!(page("q.dead", held, &counts(0), &[]).contains("\n4 letters held by"));
    }
}
