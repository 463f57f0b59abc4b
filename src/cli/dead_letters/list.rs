//! `revoker dead-letters list`: the dead letters and their reasons.

use std::{fmt::Write as _, time::SystemTime};

use super::{
    CommandContext,
    filter::FilterArgs,
    letter_json::LetterJson,
    list_json::JsonList,
    reading::{notes, read_all, unless_stopped},
    reasons::{ReasonCounts, several},
    table::{LetterRow, LetterTable},
};
use crate::{
    broker::BrowseSummary,
    cli::{
        exit::{Exit, Failure},
        output::{self, OutputArgs},
        text_style::TextStyle,
    },
    domain::StoredLetter,
};

/// The most rows of the table by default, so that the counts above it stay on the screen.
const SHOWN: usize = 50;

/// A table with more rows is printed while the queue is read. The counts follow it.
const KEPT_ROWS: usize = 10_000;

/// The text is printed in pieces of this many bytes.
const PIECE: usize = 64 * 1024;

/// List dead letters, the oldest first, with the counts by reason on top
///
/// Changes nothing: every dead letter stays in its place. JSON, and a table of more than 10,000 rows, are printed
/// while the queue is read, and the counts are printed last.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters list --reason exhausted --lane interactive --since 2h\n  \
                        revoker dead-letters list --output json | jq -r '.letters[].fingerprint'")]
pub(super) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,

    /// Show at most N; all that match are counted. By default 50 in the table, all with --output json
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &ListArgs, context: &mut CommandContext) -> Result<Exit, Failure> {
    let name = context.queue.name().to_owned();
    let limit = args.limit.unwrap_or(if args.output.is_json() { usize::MAX } else { SHOWN }) as u64;
    let mut listing = if args.output.is_json() {
        Listing::Json(JsonList::new(&name)?)
    } else {
        Listing::page(output::text_style())
    };
    let mut counts = ReasonCounts::default();
    let (now, stop) = (context.now, context.stop.clone());
    let browse = read_all(context, async |message| {
        let letter = message.letter();
        if args.filter.matches(&letter, now) {
            if counts.total() < limit {
                listing.add(&letter, now)?;
                if listing.text().len() >= PIECE {
                    print_part(listing.text()).await?;
                }
            }
            counts.add(letter.reason);
        }
        Ok(())
    })
    .await?;
    listing.end(&name, browse, &counts, limit)?;
    unless_stopped(&stop, print_part(listing.text())).await?;
    Ok(Exit::Done)
}

async fn print_part(text: &mut String) -> Result<(), Failure> {
    output::print_part(text).await?;
    text.clear();
    Ok(())
}

/// The part of a list that is not printed yet, in one of the forms.
enum Listing {
    Json(JsonList),
    Page { rows: Vec<LetterRow>, table: LetterTable, text: String },
}

impl Listing {
    fn page(style: TextStyle) -> Self {
        Self::Page { rows: Vec::new(), table: LetterTable::new(style), text: String::new() }
    }

    fn add(&mut self, letter: &StoredLetter, now: SystemTime) -> Result<(), Failure> {
        match self {
            Self::Json(list) => list.add(LetterJson(letter))?,
            Self::Page { rows, table, text } => {
                rows.push(LetterRow::new(letter, now));
                // Up to this number, the counts come first.
                if rows.len() > KEPT_ROWS || table.is_begun() {
                    table.render(text, rows);
                    rows.clear();
                }
            }
        }
        Ok(())
    }

    fn end(
        &mut self,
        queue: &str,
        browse: BrowseSummary,
        counts: &ReasonCounts,
        limit: u64,
    ) -> Result<(), Failure> {
        match self {
            Self::Json(list) => list.end(browse, counts)?,
            Self::Page { rows, table, text } => {
                let head = page_head(queue, browse, counts);
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

    const fn text(&mut self) -> &mut String {
        match self {
            Self::Json(list) => &mut list.text,
            Self::Page { text, .. } => text,
        }
    }
}

/// The counts, and notes about messages that they do not contain.
fn page_head(queue: &str, browse: BrowseSummary, counts: &ReasonCounts) -> String {
    let (letters, matching) = (u64::from(browse.looked_at), counts.total());
    let mut head = format!("{queue}: {}", several(letters, "dead letter"));
    if matching != letters {
        // Writing to a string cannot fail.
        let _ = write!(head, ", of which {matching} match");
    }
    format!("{head}\n{}{}", notes(browse), counts.lines())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::testing::{letter, now};

    /// A page after a browse: `fit` messages match, and `shown` of them are listed.
    fn page(seen: BrowseSummary, fit: usize, shown: usize) -> String {
        let mut listing = Listing::page(TextStyle::default());
        let mut counts = ReasonCounts::default();
        for n in 0..fit {
            counts.add(letter().reason);
            if n < shown {
                listing.add(&letter(), now()).unwrap();
            }
        }
        listing.end("q.dead", seen, &counts, shown as u64).unwrap();
        std::mem::take(listing.text())
    }

    fn seen(looked_at: u32) -> BrowseSummary {
        BrowseSummary { looked_at, held_by_others: 0, other_consumers: 0 }
    }

    #[test]
    fn the_page_shows_the_number_of_omitted_rows() {
        assert_eq!(page(seen(0), 0, 0), "q.dead: 0 dead letters\n");
        let whole = page(seen(1), 1, 50);
        assert!(
            whole.starts_with("q.dead: 1 dead letter\n  exhausted          1\n\nAGE  "),
            "{whole}"
        );
        assert!(!whole.contains("more"), "{whole}");
        let part = page(seen(9), 3, 1);
        assert!(part.starts_with("q.dead: 9 dead letters, of which 3 match\n"), "{part}");
        assert!(part.ends_with("... and 2 more; --limit shows more of them\n"), "{part}");
        let held = BrowseSummary { looked_at: 0, held_by_others: 4, other_consumers: 1 };
        assert!(page(held, 0, 0).contains("\n4 dead letters held by"));
    }

    #[test]
    fn a_long_table_comes_before_its_counts() {
        let rows = KEPT_ROWS + 3;
        let page = page(seen(20_000), rows + 1, rows);
        assert!(page.starts_with("AGE  REASON "), "{}", &page[..200]);
        assert_eq!(page.matches("\n1m   exhausted").count(), rows);
        assert_eq!(page.matches("AGE ").count(), 1);
        let end = "\n\nq.dead: 20000 dead letters, of which 10004 match\n  exhausted      10004\n\
                   ... and 1 more; --limit shows more of them\n";
        assert!(page.ends_with(end), "{}", &page[page.len() - 300..]);
    }
}
