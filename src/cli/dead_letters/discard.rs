//! `revoker dead-letters discard`: throws letters away for good.

use serde::Serialize;

use super::{
    Ended, Tools, confirmation,
    counts::{Counts, several},
    failure::Failure,
    filter, print, print_json,
    reading::Seen,
    rounds::{self, Carried, Deed},
    selection,
};
use crate::broker::BrowsedMessage;

/// Throws dead letters away for good
///
/// Their tokens are not revoked by it, and nothing keeps them: export them before. Asks for their number
/// to be typed unless --yes is given. Those that die meanwhile are not touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters discard --reason invalid_job --until 30d --dry-run\n  \
                        revoker dead-letters discard --reason invalid_job --until 30d")]
pub struct Args {
    #[command(flatten)]
    filter: filter::Args,

    /// At most so many, the oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Say what would be thrown away, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// The end of it.
#[derive(Debug, Serialize)]
struct Summary {
    queue: String,
    #[serde(flatten)]
    seen: Seen,
    dry_run: bool,
    selected: u64,
    reasons: Counts,
    discarded: u64,
    left: u64,
}

/// Discards.
pub async fn run(args: &Args, tools: &mut Tools) -> Result<Ended, Failure> {
    if !args.yes && !args.dry_run && !confirmation::somebody_is_there() {
        return Err(Failure::Usage(
            "standard input is no terminal, so nobody can be asked: give --yes to discard without a \
             question, or --dry-run to see what it would be"
                .to_owned(),
        ));
    }
    let filter = args.filter.resolve(tools.now);
    let mut selection = selection::select(tools, args.limit, |letter| filter.fits(letter)).await?;
    let selected = selection.letters.left();
    let mut ended = Ok(());
    if selected > 0 && !args.dry_run {
        let what = format!(
            "{}{selected} dead letters would be thrown away for good",
            selection.counts.lines()
        );
        if !args.yes && !confirmation::asked(selected, &what, &tools.stop).await? {
            return Err(Failure::Interrupted("that is not the number, nothing was thrown away"));
        }
        ended = rounds::run(tools, &mut selection.letters, &mut Discarding).await;
    }
    let summary = Summary {
        queue: tools.queue.name().to_owned(),
        seen: selection.seen,
        dry_run: args.dry_run,
        selected,
        reasons: selection.counts,
        discarded: selection.letters.finished(),
        left: selection.letters.left(),
    };
    let printed = if args.json { print_json(&summary) } else { print(&summary.text()) };
    ended?;
    printed?;
    if summary.left > 0 && !args.dry_run {
        return Err(Failure::Unfinished(summary.left));
    }
    Ok(Ended::Well)
}

impl Summary {
    fn text(&self) -> String {
        let Self { queue, seen, selected, discarded, left, .. } = self;
        let first = if self.dry_run {
            format!("{} of {queue} would be thrown away", several(*selected, "dead letter"))
        } else {
            let discarded = several(*discarded, "dead letter");
            format!("{discarded} of {queue} thrown away, {left} left")
        };
        format!("{first}\n{}{}", self.reasons.lines(), seen.notes())
    }
}

/// Nothing is done to a letter that is thrown away but its ack.
struct Discarding;

impl Deed for Discarding {
    type Kept = ();

    const DOING: &'static str = "discarding";

    // A signal need not wait long, and the broker is told of many together.
    const BATCH: usize = 1024;

    fn in_a_round(&self) -> usize {
        usize::MAX
    }

    fn keep(&self, _: BrowsedMessage) {}

    fn permitted_now(&mut self, most: usize) -> usize {
        most.min(Self::BATCH)
    }

    async fn permitted(&mut self, most: usize) -> usize {
        most.min(Self::BATCH)
    }

    async fn carry_out(&mut self, batch: Vec<()>) -> Result<Carried, Failure> {
        Ok(Carried { done: vec![true; batch.len()], refused: None })
    }
}
