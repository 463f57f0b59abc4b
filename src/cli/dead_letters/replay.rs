//! `revoker dead-letters replay`: publishes dead letters to their lanes as fresh jobs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    CommandContext,
    change::{Change, ChangeArgs, ChangeReport},
};
use crate::{
    broker::{BatchRun, Replayer},
    cli::{
        exit::{Exit, Failure},
        job_file,
    },
    domain::{DeadReason, Lane, PerLane, Rate, Reason},
};

/// Send dead letters back to their lanes, as fresh jobs
///
/// Each job is published and confirmed before its dead letter is removed. The selection is fixed at the start: a
/// job that is dead-lettered again meanwhile is not replayed again. A replayed job starts with no attempts. Its
/// header x-revoker-replays counts its replays.
///
/// Without --include-rejected, dead letters that the endpoint rejected stay in the queue (exit code 3): the same
/// call would get the same answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, after a missing client secret was configured:\n  \
                        revoker dead-letters replay --reason unknown_client --client-id shop --dry-run\n  \
                        revoker dead-letters replay --reason unknown_client --client-id shop --rate 20")]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    change: ChangeArgs,

    /// Send all to this lane; by default each goes back to its own lane, or to bulk if that is unknown
    #[arg(long, value_name = "LANE", value_parser = job_file::lane())]
    to_lane: Option<Lane>,

    /// Send at most this many a second, such as 20 or 0.5
    #[arg(long, value_name = "PER SECOND", value_parser = rate)]
    rate: Option<f64>,

    /// Also replay dead letters that the endpoint rejected
    #[arg(long)]
    include_rejected: bool,
}

/// The reason of those that the endpoint itself rejected.
const REJECTED: DeadReason = DeadReason::Stated(Reason::Rejected);

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if Rate::per_second(rate).is_some() => Ok(rate),
        _ => Err("expected a number above 0, such as 20 or 0.5".to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct ReplayCounts {
    replayed: u64,
    interactive: u64,
    bulk: u64,
    left: u64,
    rejected_left_out: u64,
    refused_by_broker: u64,
}

pub(super) async fn run(args: &ReplayArgs, context: &mut CommandContext) -> Result<Exit, Failure> {
    if args.change.filter.names_rejected() && !args.include_rejected {
        return Err(Failure::usage(
            "--reason rejected selects dead letters that the endpoint rejected, and the same call would get the same \
             answer; give --include-rejected if something has changed since",
        ));
    }
    let mut rejected_left_out = 0;
    let (change, selected) = Change::select(&args.change, context, |letter| {
        let left_out = letter.reason == REJECTED && !args.include_rejected;
        rejected_left_out += u64::from(left_out);
        !left_out
    })
    .await?;
    let replayer = Replayer::new(&context.settings, args.to_lane);
    let mut run = BatchRun::new(selected, replayer, args.rate);
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
    change.finish(&run, ended, &report)?;
    let all = rejected_left_out + run.refused == 0;
    Ok(if all { Exit::Done } else { Exit::Partly })
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
