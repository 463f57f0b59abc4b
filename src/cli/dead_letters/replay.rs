//! `revoker dead-letters replay`: sends letters back into their lanes, as fresh jobs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    Ended, Tools,
    counts::{Counts, several},
    failure::Failure,
    filter,
    pace::{self, Pace},
    print, print_json,
    reading::Seen,
    rounds::{self, Carried, Deed},
    selection,
};
use crate::{
    broker::{BrowsedMessage, Letter, Replayer},
    domain::{DeadReason, Lane, PerLane, Reason},
    flow::Rate,
};

/// Sends dead letters back into their lanes, as fresh jobs
///
/// Each is published and confirmed before the dead letter is removed. What is sent back is fixed at the
/// start: a letter that dies again while this runs is not sent back a second time. The job starts afresh,
/// its attempts forgotten, with a count of its replays.
///
/// Letters that the endpoint itself rejected are left where they are (exit code 3) unless
/// --include-rejected says otherwise: the same call would be answered the same.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example, after a client's secret was configured that had been missing:\n  \
                        revoker dead-letters replay --reason unknown_client --client-id shop --dry-run\n  \
                        revoker dead-letters replay --reason unknown_client --client-id shop --rate 20"
)]
pub struct Args {
    #[command(flatten)]
    filter: filter::Args,

    /// At most so many, the oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Send them into this lane; by default each goes where it came from, or to bulk if that is unknown
    #[arg(long, value_name = "LANE", value_parser = filter::lane())]
    to_lane: Option<Lane>,

    /// At most so many a second, such as 20 or 0.5
    #[arg(long, value_name = "PER SECOND", value_parser = rate)]
    rate: Option<f64>,

    /// Send back those too that the endpoint rejected
    #[arg(long)]
    include_rejected: bool,

    /// Say what would be sent back, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Whether the endpoint itself rejected a letter's job.
const REJECTED: DeadReason = DeadReason::Stated(Reason::Rejected);

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if Rate::per_second(rate).is_some() => Ok(rate),
        _ => Err("expected a number above 0, such as 20 or 0.5".to_owned()),
    }
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
    replayed: u64,
    interactive: u64,
    bulk: u64,
    left: u64,
    rejected_left_out: u64,
    refused_by_broker: u64,
}

/// Replays.
pub async fn run(args: &Args, tools: &mut Tools) -> Result<Ended, Failure> {
    if args.filter.names_rejected() && !args.include_rejected {
        return Err(Failure::Usage(
            "--reason rejected asks for letters that the endpoint itself refused: the same call would be \
             answered the same; give --include-rejected if something has changed since"
                .to_owned(),
        ));
    }
    let filter = args.filter.resolve(tools.now);
    let mut rejected_left_out = 0;
    let mut selection = selection::select(tools, args.limit, |letter| {
        let left_out = letter.reason == REJECTED && !args.include_rejected;
        let fits = filter.fits(letter);
        rejected_left_out += u64::from(fits && left_out);
        fits && !left_out
    })
    .await?;
    let selected = selection.letters.left();
    let mut replaying = Replaying::new(args, Replayer::new(&tools.settings));
    let mut ended = Ok(());
    if selected > 0 && !args.dry_run {
        replaying.replayer.prepare().await?;
        ended = rounds::run(tools, &mut selection.letters, &mut replaying).await;
        replaying.replayer.disconnect().await;
    }
    let refused_by_broker = replaying.refused;
    let summary = Summary {
        queue: tools.queue.name().to_owned(),
        seen: selection.seen,
        dry_run: args.dry_run,
        selected,
        reasons: selection.counts,
        replayed: selection.letters.finished(),
        interactive: replaying.replayed.interactive,
        bulk: replaying.replayed.bulk,
        left: selection.letters.left(),
        rejected_left_out,
        refused_by_broker,
    };
    let printed = if args.json {
        print_json(&summary)
    } else {
        print(&summary.text(replaying.replayer.refusal()))
    };
    ended?;
    printed?;
    let not_found = summary.left.saturating_sub(refused_by_broker);
    if not_found > 0 && !args.dry_run {
        return Err(Failure::Unfinished(not_found));
    }
    Ok(if rejected_left_out + refused_by_broker > 0 { Ended::Partly } else { Ended::Well })
}

impl Summary {
    /// For people; `why` is what the broker said of the latest letter that it refused.
    fn text(&self, why: &str) -> String {
        let Self { queue, selected, replayed, interactive, bulk, left, rejected_left_out, .. } =
            self;
        let mut text = if self.dry_run {
            format!("{} of {queue} would be replayed\n", several(*selected, "dead letter"))
        } else {
            let replayed = several(*replayed, "dead letter");
            format!(
                "{replayed} of {queue} replayed: {interactive} into interactive, {bulk} into bulk; {left} \
                 left\n"
            )
        };
        text.push_str(&self.reasons.lines());
        if *rejected_left_out > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "left out, because the endpoint rejected them (--include-rejected replays them too): \
                 {rejected_left_out}"
            );
        }
        if self.refused_by_broker > 0 {
            let _ = writeln!(
                text,
                "still dead letters, because the broker refuses them: {} ({why})",
                self.refused_by_broker
            );
        }
        text.push_str(&self.seen.notes());
        text
    }
}

/// Publishing letters into their lanes.
struct Replaying {
    replayer: Replayer,
    to_lane: Option<Lane>,
    pace: Pace,
    in_a_round: usize,
    replayed: PerLane<u64>,
    /// Letters of this round that the broker has refused before.
    refused: u64,
}

impl Replaying {
    fn new(args: &Args, replayer: Replayer) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is at least one"
        )]
        let in_a_round = |rate: f64| (rate * rounds::LONGEST.as_secs_f64()).max(1.0) as usize;
        Self {
            replayer,
            to_lane: args.to_lane,
            pace: Pace::new(args.rate.and_then(Rate::per_second)),
            in_a_round: args.rate.map_or(usize::MAX, in_a_round),
            replayed: PerLane::default(),
            refused: 0,
        }
    }
}

impl Deed for Replaying {
    type Kept = (Lane, Letter);

    const DOING: &'static str = "replaying";

    const BATCH: usize = pace::BATCH;

    fn in_a_round(&self) -> usize {
        self.in_a_round
    }

    fn begin(&mut self) {
        self.refused = 0;
    }

    fn refuses(&mut self, held: &BrowsedMessage) -> bool {
        // It stays a dead letter: to send it again would break the channel of the others again.
        let refuses = self.replayer.refuses(held);
        self.refused += u64::from(refuses);
        refuses
    }

    fn keep(&self, held: BrowsedMessage) -> (Lane, Letter) {
        let lane = self.to_lane.or_else(|| held.letter().lane).unwrap_or(Lane::Bulk);
        (lane, self.replayer.letter(held, lane))
    }

    fn permitted_now(&mut self, most: usize) -> usize {
        self.pace.permitted_now(most)
    }

    async fn permitted(&mut self, most: usize) -> usize {
        self.pace.permitted(most).await
    }

    async fn carry_out(&mut self, batch: Vec<(Lane, Letter)>) -> Result<Carried, Failure> {
        self.pace.spend(batch.len());
        let (lanes, letters): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let published = self.replayer.publish(&letters).await?;
        for (lane, confirmed) in lanes.into_iter().zip(&published.confirmed) {
            *self.replayed.get_mut(lane) += u64::from(*confirmed);
        }
        Ok(Carried { done: published.confirmed, refused: published.refused })
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
