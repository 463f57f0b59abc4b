//! `revoker dead-letters replay`: publishes dead letters to their lanes as fresh jobs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    CommandContext,
    change::{Carried, Change, ChangeArgs, ChangeReport},
};
use crate::{
    broker::{BatchRun, BrowsedMessage, MessageIdentity, Replayer, SelectedSet},
    cli::{
        exit::{Exit, Failure},
        job_file,
    },
    domain::{Lane, PerLane, Rate, StoredLetter},
};

/// Send dead letters back to their lanes, as fresh jobs
///
/// Each job is published and confirmed before its dead letter is removed. The selection is fixed at the start: a
/// job that is dead-lettered again meanwhile is not replayed again. A replayed job starts with no attempts. Its
/// header x-revoker-replays counts its replays. If an earlier call may have revoked its token, it keeps that fact.
///
/// Without --include-rejected, dead letters that the endpoint rejected stay in the queue (exit code 3): the same
/// call would get the same answer. This includes those rejected after an ambiguous call.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, after a missing client secret was configured:\n  \
                        revoker dead-letters replay --reason unknown_client --client-id shop --dry-run\n  \
                        revoker dead-letters replay --reason unknown_client --client-id shop --rate 20")]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    change: ChangeArgs,

    #[command(flatten)]
    options: ReplayOptions,
}

// How dead letters are replayed.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayOptions {
    /// Send all to this lane; by default each goes back to its own lane, or to bulk if that is unknown
    #[arg(long, value_name = "LANE", value_parser = job_file::lane())]
    pub(super) to_lane: Option<Lane>,

    /// Send at most this many a second, such as 20 or 0.5
    #[arg(long, value_name = "PER SECOND", value_parser = rate)]
    pub(super) rate: Option<f64>,

    /// Also replay dead letters that the endpoint rejected
    #[arg(long)]
    pub(super) include_rejected: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if Rate::per_second(rate).is_some() => Ok(rate),
        _ => Err("expected a number above 0, such as 20 or 0.5".to_owned()),
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ReplayCounts {
    replayed: u64,
    interactive: u64,
    bulk: u64,
    left: u64,
    rejected_left_out: u64,
    refused_by_broker: u64,
}

/// Dead letters that are selected for a replay.
pub(super) struct ReplaySelection {
    pub(super) change: Change,
    selected: SelectedSet<MessageIdentity>,
    pub(super) rejected_left_out: u64,
}

pub(super) async fn run(args: &ReplayArgs, context: &mut CommandContext) -> Result<Exit, Failure> {
    let ReplayArgs { change, options } = args;
    if let Some(reason) = change.filter.named_rejection().filter(|_| !options.include_rejected) {
        return Err(Failure::usage(format!(
            "--reason {reason} selects dead letters that the endpoint rejected, and the same call would get the same \
             answer; give --include-rejected if something has changed since"
        )));
    }
    let selection = ReplaySelection::select(change, options, context, |_, _| true).await?;
    let (change, carried) = selection.carry_out(options, context).await?;
    let all = carried.report.json.rejected_left_out + carried.run.refused == 0;
    change.finish(carried)?;
    Ok(if all { Exit::Done } else { Exit::Partly })
}

impl ReplaySelection {
    /// Selects the dead letters that match the options and `choose`. Rejected ones are left out unless the options
    /// include them.
    pub(super) async fn select(
        args: &ChangeArgs,
        options: &ReplayOptions,
        context: &mut CommandContext,
        mut choose: impl FnMut(&BrowsedMessage, &StoredLetter) -> bool,
    ) -> Result<Self, Failure> {
        let mut rejected_left_out = 0;
        let (change, selected) = Change::select(args, context, |message, letter| {
            if !choose(message, letter) {
                return false;
            }
            let left_out = letter.reason.is_rejection() && !options.include_rejected;
            rejected_left_out += u64::from(left_out);
            !left_out
        })
        .await?;
        Ok(Self { change, selected, rejected_left_out })
    }

    /// Replays the selected dead letters, if that is due.
    pub(super) async fn carry_out(
        self,
        options: &ReplayOptions,
        context: &mut CommandContext,
    ) -> Result<(Change, Carried<Replayer, ReplayCounts>), Failure> {
        let Self { change, selected, rejected_left_out } = self;
        let replayer = Replayer::new(&context.settings, options.to_lane);
        let mut run = BatchRun::new(selected, replayer, options.rate);
        if change.is_due() {
            run.action.prepare().await?;
        }
        let ended = change.apply(context, "replaying", &mut run).await;
        run.action.disconnect().await;
        let PerLane { interactive, bulk } = *run.action.replayed();
        let left = run.selected.left();
        let counts = ReplayCounts {
            replayed: run.selected.finished(),
            interactive,
            bulk,
            left,
            rejected_left_out,
            refused_by_broker: run.refused,
        };
        let report = ChangeReport {
            verb: "replayed",
            rest: format!(": {interactive} into interactive, {bulk} into bulk; {left} left"),
            notes: counts.notes(run.action.refusal()),
            json: counts,
        };
        Ok((change, Carried { run, ended, report }))
    }
}

impl ReplayCounts {
    /// The messages that were left out. `refusal` is the broker's text for the latest refused one.
    fn notes(&self, refusal: &str) -> String {
        let mut notes = String::new();
        // Writing to a string cannot fail.
        if self.rejected_left_out > 0 {
            let _ = writeln!(
                notes,
                "left out, because the endpoint rejected them (--include-rejected replays them too): {}",
                self.rejected_left_out
            );
        }
        if self.refused_by_broker > 0 {
            let _ = writeln!(
                notes,
                "still dead letters, because the broker refuses them: {} ({refusal})",
                self.refused_by_broker
            );
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_above_nothing() {
        for (text, expected) in [
            ("20", true),
            ("0.5", true),
            ("0", false),
            ("-1", false),
            ("NaN", false),
            ("fast", false),
        ] {
            assert_eq!(rate(text).is_ok(), expected, "{text}");
        }
    }
}
