//! `revoker dead-letters discard`: deletes dead letters for good.

use std::io::{self, IsTerminal as _};

use serde::Serialize;

use super::{
    CommandContext,
    change::{Carried, Change, ChangeArgs, ChangeReport},
    reading::unless_stopped,
};
use crate::{
    broker::{BatchRun, Discard, MessageIdentity, SelectedSet},
    cli::{
        exit::{Exit, Failure},
        output,
    },
};

/// Delete dead letters for good
///
/// This does not revoke their tokens, and no copy is kept: export them first. The command asks you to type
/// their number, unless --yes is given. Dead letters that arrive later are not deleted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters discard --reason invalid_job --until 30d --dry-run\n  \
                        revoker dead-letters discard --reason invalid_job --until 30d")]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    change: ChangeArgs,

    /// Do not ask for the number
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct DiscardCounts {
    discarded: u64,
    left: u64,
}

pub(super) async fn run(args: &DiscardArgs, context: &mut CommandContext) -> Result<Exit, Failure> {
    let asks = !args.yes && !args.change.dry_run;
    if asks && !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "standard input is not a terminal, so a confirmation is impossible: give --yes to discard without a question, or \
             --dry-run to see what would be discarded",
        ));
    }
    let (change, selected) = Change::select(&args.change, context, |_, _| true).await?;
    if asks && change.is_due() && !confirmed(&change, context).await? {
        return Err(Failure::new("interrupted: that is not the number, nothing was discarded"));
    }
    let carried = carry_out(&change, selected, context).await;
    change.finish(carried)?;
    Ok(Exit::Done)
}

/// Discards the selected dead letters, if that is due.
pub(super) async fn carry_out(
    change: &Change,
    selected: SelectedSet<MessageIdentity>,
    context: &mut CommandContext,
) -> Carried<Discard, DiscardCounts> {
    let mut run = BatchRun::new(selected, Discard, None);
    let ended = change.apply(context, "discarding", &mut run).await;
    let (discarded, left) = (run.selected.finished(), run.selected.left());
    let report = ChangeReport {
        json: DiscardCounts { discarded, left },
        verb: "discarded",
        rest: format!(", {left} left"),
        notes: String::new(),
    };
    Carried { run, ended, report }
}

/// Asks for the number of selected messages, and returns whether it was typed.
async fn confirmed(change: &Change, context: &CommandContext) -> Result<bool, Failure> {
    let (reasons, count) = (change.reasons.lines(), change.selected);
    let question = format!(
        "{reasons}{count} dead letters would be deleted for good. Type the number {count} to continue: "
    );
    let answer = tokio::task::spawn_blocking(move || output::ask(&question));
    unless_stopped(&context.stop, async {
        let answer = answer.await.map_err(io::Error::other).flatten();
        Ok(confirms(&answer.map_err(|error| Failure::at("standard input", &error))?, count))
    })
    .await
}

/// Whether a typed answer is the number itself.
pub(super) fn confirms(answer: &str, count: u64) -> bool {
    answer.trim() == count.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_itself_is_a_yes() {
        for (answer, expected) in [
            ("12\n", true),
            (" 12 \r\n", true),
            ("12", true),
            ("", false),
            ("\n", false),
            ("y\n", false),
            ("yes\n", false),
            ("1\n", false),
            ("012\n", false),
            ("12 letters\n", false),
        ] {
            assert_eq!(confirms(answer, 12), expected, "{answer:?}");
        }
    }
}
