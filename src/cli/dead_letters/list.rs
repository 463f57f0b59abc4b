//! `revoker dead-letters list`: what died, and why.

mod document;

use std::{fmt::Write as _, time::SystemTime};

use self::document::Document;
use super::{
    Ended, Tools,
    counts::{Counts, several},
    failure::Failure,
    filter, print_on,
    reading::{Reading, Seen, unless_stopped},
    record::Record,
    table::{Row, Table},
};
use crate::domain::StoredLetter;

/// Letters that the table shows unless told otherwise: the counts above it stay on the screen.
const SHOWN: usize = 50;

/// A table of more rows is printed while the queue is read, and the counts follow it.
const KEPT_ROWS: usize = 10_000;

/// Text is printed in pieces of this size.
const PIECE: usize = 64 * 1024;

/// Lists dead letters, the oldest first, with a count of each reason on top
///
/// Changes nothing: every letter goes back to its place. With --json, letters are printed as they are read, and
/// the counts behind them. A table of more than 10,000 letters likewise.
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

/// Lists.
pub async fn run(args: &Args, tools: &mut Tools) -> Result<Ended, Failure> {
    let filter = args.filter.resolve(tools.now);
    let name = tools.queue.name().to_owned();
    let limit = args.limit.unwrap_or(if args.json { usize::MAX } else { SHOWN });
    let mut listing = if args.json {
        Listing::Json(Document::of(&name)?)
    } else {
        Listing::Page { rows: Vec::new(), table: Table::default(), text: String::new() }
    };
    let mut counts = Counts::default();
    let Tools { queue, stop, now, .. } = tools;
    unless_stopped(stop, async {
        let mut reading = Reading::begin(queue).await?;
        while let Some(held) = reading.next().await? {
            let letter = held.letter();
            if !filter.fits(&letter) {
                continue;
            }
            if counts.total() < limit as u64 {
                listing.add(&letter, *now)?;
                if listing.text().len() >= PIECE {
                    print_on(listing.text()).await?;
                }
            }
            counts.add(letter.reason);
        }
        let seen = reading.end().await;
        listing.end(&name, seen, &counts, limit as u64)?;
        print_on(listing.text()).await
    })
    .await?;
    Ok(Ended::Well)
}

/// A listing under way, in one of its forms.
enum Listing {
    /// For a script.
    Json(Document),
    /// For a person.
    Page { rows: Vec<Row>, table: Table, text: String },
}

impl Listing {
    fn add(&mut self, letter: &StoredLetter, now: SystemTime) -> Result<(), Failure> {
        match self {
            Self::Json(document) => document.add(&Record::from(letter))?,
            Self::Page { rows, table, text } => {
                rows.push(Row::of(letter, now));
                // Until then they may all be shown below the counts.
                if rows.len() > KEPT_ROWS || table.is_begun() {
                    table.render(text, rows);
                    rows.clear();
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, queue: &str, seen: Seen, counts: &Counts, limit: u64) -> Result<(), Failure> {
        match self {
            Self::Json(document) => document.end(seen, counts)?,
            Self::Page { rows, table, text } => {
                let head = page_head(queue, seen, counts);
                if table.is_begun() {
                    text.push('\n');
                    text.push_str(&head);
                } else {
                    text.push_str(&head);
                    text.push_str(if rows.is_empty() { "" } else { "\n" });
                    table.render(text, rows);
                }
                let more = counts.total().saturating_sub(limit);
                if more > 0 {
                    // Writing to a string cannot fail.
                    let _ = writeln!(text, "... and {more} more; --limit shows more of them");
                }
            }
        }
        Ok(())
    }

    /// What is to be printed. It is taken out.
    fn text(&mut self) -> &mut String {
        match self {
            Self::Json(document) => document.text(),
            Self::Page { text, .. } => text,
        }
    }
}

/// The counts, and what is not in them.
fn page_head(queue: &str, seen: Seen, counts: &Counts) -> String {
    let (letters, matching) = (u64::from(seen.looked_at), counts.total());
    let mut head = format!("{queue}: {}", several(letters, "dead letter"));
    if matching != letters {
        // Writing to a string cannot fail.
        let _ = write!(head, ", of which {matching} fit");
    }
    head.push('\n');
    head.push_str(&seen.notes());
    head.push_str(&counts.lines());
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::filter::tests::{letter, now};

    /// A page about so many letters that were read, of which so many fit and some are shown.
    fn page(seen: Seen, fit: usize, shown: usize) -> String {
        let mut listing =
            Listing::Page { rows: Vec::new(), table: Table::default(), text: String::new() };
        let mut counts = Counts::default();
        for n in 0..fit {
            counts.add(letter().reason);
            if n < shown {
                listing.add(&letter(), now()).unwrap();
            }
        }
        listing.end("q.dead", seen, &counts, shown as u64).unwrap();
        std::mem::take(listing.text())
    }

    fn seen(looked_at: u32) -> Seen {
        Seen { looked_at, held_by_others: 0, other_consumers: 0 }
    }

    #[test]
    fn the_page_says_what_it_leaves_out() {
        assert_eq!(page(seen(0), 0, 0), "q.dead: 0 dead letters\n");
        let whole = page(seen(1), 1, 50);
        assert!(
            whole.starts_with("q.dead: 1 dead letter\n  exhausted          1\n\nAGE  "),
            "{whole}"
        );
        assert!(!whole.contains("more"), "{whole}");
        let part = page(seen(9), 3, 1);
        assert!(part.starts_with("q.dead: 9 dead letters, of which 3 fit\n"), "{part}");
        assert!(part.ends_with("... and 2 more; --limit shows more of them\n"), "{part}");
        let held = Seen { looked_at: 0, held_by_others: 4, other_consumers: 1 };
        assert!(page(held, 0, 0).contains("\n4 letters held by"));
    }

    #[test]
    fn a_long_table_comes_before_its_counts() {
        let rows = KEPT_ROWS + 3;
        let page = page(seen(20_000), rows + 1, rows);
        assert!(page.starts_with("AGE  REASON "), "{}", &page[..200]);
        assert_eq!(page.matches("\n1m   exhausted").count(), rows);
        assert_eq!(page.matches("AGE ").count(), 1);
        let end = "\n\nq.dead: 20000 dead letters, of which 10004 fit\n  exhausted      10004\n\
                   ... and 1 more; --limit shows more of them\n";
        assert!(page.ends_with(end), "{}", &page[page.len() - 300..]);
    }
}
