//! `revoker dead-letters browse`: dead letters in a terminal, in groups, to show, replay and discard.
//!
//! It selects and changes with the functions of the commands `replay` and `discard`. A change first reads the queue and
//! fixes its selection; the question shows its number, and only that number carries it out.

mod groups;
mod state;
#[cfg(test)]
mod tests;
mod view;

use super::{
    CommandContext,
    change::{Change, ChangeArgs},
    discard,
    filter::FilterArgs,
    reading::{Display, notes, read_all},
    reasons::several,
    replay::{ReplayOptions, ReplaySelection},
};
use crate::{
    broker::{MessageIdentity, SelectedSet},
    cli::{
        exit::{Exit, Failure},
        output,
        screen::{Screen, ScreenEvent},
    },
    ports::{Clock as _, SystemClock},
};
use groups::Groups;
use state::{Browser, ChangeKind, Listed, OpenGroup, Question, Request};

/// The most dead letters of a group that are listed.
const LISTED: usize = 200;

/// Browse dead letters in a terminal: in groups, to show, replay or discard
///
/// A group has the same reason, client and detail. Space marks groups or single dead letters, r replays and d discards
/// what is marked, or else what is selected. Before a change, you type the number of dead letters that are selected.
/// Those that the endpoint rejected are replayed only with --include-rejected. Tokens are shown as fingerprints.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
                        revoker dead-letters browse --since 2d --rate 20")]
pub(super) struct BrowseArgs {
    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    replay: ReplayOptions,
}

/// A change that waits for its confirmation. Its selection is fixed.
enum Chosen {
    Replay(ReplaySelection),
    Discard(Change, SelectedSet<MessageIdentity>),
}

pub(super) async fn run(args: BrowseArgs, context: &mut CommandContext) -> Result<Exit, Failure> {
    let screen = Screen::open("dead-letters browse")?;
    let whole = context.stop.clone();
    context.display = Display::Screen(Box::new(screen));
    let BrowseArgs { filter, replay } = args;
    let mut session = BrowseSession {
        args: ChangeArgs::of(filter),
        options: replay,
        browser: Browser { queue: context.queue.name().to_owned(), ..Browser::default() },
        chosen: None,
        context,
    };
    // Boxed: otherwise each command's future contains it.
    let ended = Box::pin(session.run(&whole)).await;
    // A failure is logged when the terminal is as before.
    context.display = Display::Bar;
    context.stop = whole;
    ended.map(|()| Exit::Done)
}

struct BrowseSession<'a> {
    args: ChangeArgs,
    options: ReplayOptions,
    browser: Browser,
    chosen: Option<Chosen>,
    context: &'a mut CommandContext,
}

impl BrowseSession<'_> {
    async fn run(&mut self, whole: &tokio_util::sync::CancellationToken) -> Result<(), Failure> {
        let colours = output::text_style().colours;
        self.read_groups().await?;
        loop {
            let Display::Screen(screen) = &mut self.context.display else { return Ok(()) };
            if screen.is_stopped() || whole.is_cancelled() {
                return Ok(());
            }
            self.context.now = SystemClock.now();
            let (browser, now) = (&self.browser, self.context.now);
            screen.draw(|frame| browser.draw(frame, now, colours))?;
            let request = match screen.event().await {
                ScreenEvent::Stop => Request::Quit,
                ScreenEvent::Key(key) => self.browser.key(key),
                ScreenEvent::Resized => Request::Nothing,
            };
            // Each request has its own stop: Esc interrupts the request alone.
            self.context.stop = whole.child_token();
            let done = match request {
                Request::Nothing => Ok(()),
                Request::Quit => return Ok(()),
                Request::Read => self.read_groups().await,
                Request::Open(place) => self.open(place).await,
                Request::Choose(kind) => self.choose(kind).await,
                Request::Change => self.change().await,
                Request::Cancel => {
                    self.chosen = None;
                    Ok(())
                }
            };
            if let Err(failure) = done {
                self.browser.message = Some(format!("{failure}."));
                // An interrupted read still holds messages. The end of its connection returns them.
                self.context.queue.disconnect().await;
            }
        }
    }

    async fn read_groups(&mut self) -> Result<(), Failure> {
        let (mut groups, now) = (Groups::default(), self.context.now);
        let filter = &self.args.filter;
        let browse = read_all(self.context, async |message| {
            let letter = message.letter();
            if filter.matches(&letter, now) {
                groups.add(&letter);
            }
            Ok(())
        })
        .await?;
        groups.sort();
        let Browser { selected, .. } = self.browser;
        self.browser.selected = selected.min(groups.all.len().saturating_sub(1));
        (self.browser.groups, self.browser.notes, self.browser.open) =
            (groups, notes(browse), None);
        Ok(())
    }

    /// Reads the dead letters of a group, and keeps the first ones.
    async fn open(&mut self, place: usize) -> Result<(), Failure> {
        let (mut letters, mut count) = (Vec::new(), 0);
        let (filter, groups, now) = (&self.args.filter, &self.browser.groups, self.context.now);
        read_all(self.context, async |message| {
            let letter = message.letter();
            if filter.matches(&letter, now) && groups.place(&letter) == Some(place) {
                count += 1;
                if letters.len() < LISTED {
                    let (details, identity) = (message.details(), message.identity());
                    letters.push(Listed { letter, details, identity });
                }
            }
            Ok(())
        })
        .await?;
        self.browser.open = Some(OpenGroup {
            place,
            letters,
            count,
            selected: 0,
            marked: std::collections::BTreeSet::new(),
            shown_from: None,
        });
        Ok(())
    }

    /// Fixes the selection of a change, and asks for its number.
    async fn choose(&mut self, kind: ChangeKind) -> Result<(), Failure> {
        let browser = &self.browser;
        let (args, options, context) = (&self.args, &self.options, &mut *self.context);
        let concerned = |message: &crate::broker::BrowsedMessage, letter: &_| {
            browser.concerns(letter, || message.identity())
        };
        let (chosen, left_out) = match kind {
            ChangeKind::Replay => {
                let chosen = ReplaySelection::select(args, options, context, concerned).await?;
                let left_out = chosen.rejected_left_out;
                (Chosen::Replay(chosen), left_out)
            }
            ChangeKind::Discard => {
                let (change, selected) = Change::select(args, context, concerned).await?;
                (Chosen::Discard(change, selected), 0)
            }
        };
        let change = match &chosen {
            Chosen::Replay(selection) => &selection.change,
            Chosen::Discard(change, _) => change,
        };
        let left_out = match left_out {
            0 => String::new(),
            count => format!(
                "{} left out, because the endpoint rejected them: start with --include-rejected to replay them too.\n",
                several(count, "dead letter")
            ),
        };
        if change.selected == 0 {
            self.browser.message = Some(format!("{left_out}Nothing is left to change."));
            return Ok(());
        }
        self.browser.question = Some(Question {
            words: question(change, kind, options, &left_out),
            count: change.selected,
            answer: String::new(),
        });
        self.chosen = Some(chosen);
        Ok(())
    }

    /// Carries the confirmed change out, shows its report, and reads the queue again.
    async fn change(&mut self) -> Result<(), Failure> {
        let (text, ended) = match self.chosen.take() {
            None => return Ok(()),
            Some(Chosen::Replay(selection)) => {
                let (change, carried) = selection.carry_out(&self.options, self.context).await?;
                (change.text(&carried), change.ended(carried))
            }
            Some(Chosen::Discard(change, selected)) => {
                let carried = discard::carry_out(&change, selected, self.context).await;
                (change.text(&carried), change.ended(carried))
            }
        };
        if ended.is_err() {
            self.context.queue.disconnect().await;
        }
        let failed = ended.err().map_or_else(String::new, |failure| format!("\n{failure}.\n"));
        // An interrupted change has used up its stop.
        let read = if self.context.stop.is_cancelled() { Ok(()) } else { self.read_groups().await };
        let unread = read.err().map_or_else(String::new, |failure| format!("\n{failure}.\n"));
        self.browser.message = Some(format!("{text}{failed}{unread}"));
        Ok(())
    }
}

/// The question before a change.
fn question(change: &Change, kind: ChangeKind, options: &ReplayOptions, left_out: &str) -> String {
    let (reasons, count) = (change.reasons.lines(), change.selected);
    let letters = several(count, "dead letter");
    let what = match kind {
        ChangeKind::Replay => {
            let lane = options.to_lane.map_or_else(
                || "each to its own lane".to_owned(),
                |lane| format!("all to the {lane} lane"),
            );
            let rate =
                options.rate.map_or_else(String::new, |rate| format!(", at most {rate} a second"));
            format!("{letters} would be replayed, {lane}{rate}.")
        }
        ChangeKind::Discard => format!(
            "{letters} would be deleted for good. This does not revoke their tokens, and no copy is kept."
        ),
    };
    format!("{what}\n{reasons}{left_out}\nType the number {count} to continue: ")
}
