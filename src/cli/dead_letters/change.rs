//! The frame of commands that change dead letters: select, apply an action, report.

use serde::Serialize;

use super::{
    CommandContext,
    filter::FilterArgs,
    reading::{notes, read_all, show_on},
    reasons::{ReasonCounts, several},
    report,
};
use crate::{
    broker::{
        BatchAction, BatchRun, BrowseProgress, BrowseSummary, BrowsedMessage, MessageIdentity,
        SelectedSet,
    },
    cli::{exit::Failure, output::OutputArgs},
    domain::StoredLetter,
};

// The options of every command that changes dead letters.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,

    /// Select at most N dead letters, the oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Print the planned changes, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    #[command(flatten)]
    output: OutputArgs,
}

impl ChangeArgs {
    /// Selects every dead letter that matches `filter`.
    pub(super) fn of(filter: FilterArgs) -> Self {
        Self { filter, limit: None, dry_run: false, output: OutputArgs::default() }
    }
}

/// The selection: the first part of every summary.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    queue: String,
    #[serde(flatten)]
    pub(super) browse: BrowseSummary,
    dry_run: bool,
    pub(super) selected: u64,
    pub(super) reasons: ReasonCounts,
    #[serde(skip)]
    output: OutputArgs,
}

/// A change that was carried out, as far as it went.
pub(super) struct Carried<A, T> {
    pub(super) run: BatchRun<A>,
    pub(super) ended: Result<(), Failure>,
    pub(super) report: ChangeReport<T>,
}

/// The parts of a command's report.
pub(super) struct ChangeReport<T> {
    /// The second part of the JSON.
    pub(super) json: T,
    /// The action in the past tense: "replayed".
    pub(super) verb: &'static str,
    /// The end of the first line.
    pub(super) rest: String,
    pub(super) notes: String,
}

#[derive(Serialize)]
struct ChangeJson<'a, T> {
    #[serde(flatten)]
    change: &'a Change,
    #[serde(flatten)]
    done: &'a T,
}

impl Change {
    /// Reads the queue and selects the dead letters that match the options and `choose`.
    pub(super) async fn select(
        args: &ChangeArgs,
        context: &mut CommandContext,
        mut choose: impl FnMut(&BrowsedMessage, &StoredLetter) -> bool,
    ) -> Result<(Self, SelectedSet<MessageIdentity>), Failure> {
        let (mut identities, mut reasons) = (Vec::new(), ReasonCounts::default());
        let now = context.now;
        let browse = read_all(context, async |message| {
            let letter = message.letter();
            let has_room = args.limit.is_none_or(|limit| reasons.total() < limit);
            if has_room && args.filter.matches(&letter, now) && choose(message, &letter) {
                identities.push(message.identity());
                reasons.add(letter.reason);
            }
            Ok(())
        })
        .await?;
        let (queue, selected) = (context.queue.name().to_owned(), reasons.total());
        let (dry_run, output) = (args.dry_run, args.output);
        let change = Self { queue, browse, dry_run, selected, reasons, output };
        Ok((change, SelectedSet::new(identities)))
    }

    pub(super) const fn is_due(&self) -> bool {
        self.selected > 0 && !self.dry_run
    }

    /// Applies the action if there is something to change. `doing` is shown with the progress: "replaying".
    pub(super) async fn apply<A: BatchAction>(
        &self,
        context: &mut CommandContext,
        doing: &'static str,
        run: &mut BatchRun<A>,
    ) -> Result<(), Failure> {
        if !self.is_due() {
            return Ok(());
        }
        let progress = BrowseProgress::default();
        let CommandContext { queue, display, stop, .. } = context;
        let running = run.run(queue, &progress, stop);
        Ok(show_on(display, stop, doing, &progress, running).await?)
    }

    /// Prints the summary, also if the action ended with an error. Selected messages that were not found again are an
    /// error too.
    pub(super) fn finish<A>(&self, carried: Carried<A, impl Serialize>) -> Result<(), Failure> {
        let json = ChangeJson { change: self, done: &carried.report.json };
        let printed = report(self.output, &json, || self.text(&carried));
        let ended = self.ended(carried);
        ended.and(printed)
    }

    /// The summary for a person.
    pub(super) fn text<A, T>(&self, carried: &Carried<A, T>) -> String {
        let Carried { run, report: ChangeReport { verb, rest, notes: more, .. }, .. } = carried;
        let Self { queue, reasons, browse, .. } = self;
        let (selected, finished) = (self.selected, run.selected.finished());
        let first = if self.dry_run {
            format!("{} of {queue} would be {verb}", several(selected, "dead letter"))
        } else {
            format!("{} of {queue} {verb}{rest}", several(finished, "dead letter"))
        };
        format!("{first}\n{}{more}{}", reasons.lines(), notes(*browse))
    }

    /// The error of the action, or one for selected messages that were not found again.
    pub(super) fn ended<A, T>(&self, carried: Carried<A, T>) -> Result<(), Failure> {
        carried.ended?;
        let missing = carried.run.selected.left().saturating_sub(carried.run.refused);
        if missing > 0 && !self.dry_run {
            return Err(Failure::new(format!(
                "{} not found again: another consumer has taken or holds them; the same command \
                 continues with the rest",
                several(missing, "dead letter")
            )));
        }
        Ok(())
    }
}
