//! What `browse` shows, and what a key does.

use std::collections::BTreeSet;

use ratatui::crossterm::event::KeyCode;

use super::groups::Groups;
use crate::{
    broker::{MessageDetails, MessageIdentity},
    cli::{dead_letters::discard::confirms, screen::moved},
    domain::StoredLetter,
};

/// The longest answer to a question, in characters.
const MAX_ANSWER: usize = 20;

/// A change of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Replay,
    Discard,
}

/// What a key asks of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Nothing,
    Quit,
    /// Read the queue again.
    Read,
    /// Read the dead letters of the group in this place.
    Open(usize),
    /// Select what is marked, and ask for a confirmation.
    Choose(ChangeKind),
    /// Carry the confirmed change out.
    Change,
    /// Forget the selection.
    Cancel,
}

/// A dead letter of an open group.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) letter: StoredLetter,
    pub(super) details: MessageDetails,
    pub(super) identity: MessageIdentity,
}

/// An open group: its first dead letters.
#[derive(Debug)]
pub(super) struct OpenGroup {
    pub(super) place: usize,
    pub(super) letters: Vec<Listed>,
    /// All of the group, listed or not.
    pub(super) count: u64,
    pub(super) selected: usize,
    pub(super) marked: BTreeSet<MessageIdentity>,
    /// The first line of the shown dead letter; `None` while the list is shown.
    pub(super) shown_from: Option<u16>,
}

/// A question that the number of dead letters answers.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) words: String,
    pub(super) count: u64,
    pub(super) answer: String,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(super) struct Browser {
    pub(super) queue: String,
    pub(super) groups: Groups,
    /// Notes about messages that the queue did not give.
    pub(super) notes: String,
    pub(super) selected: usize,
    pub(super) open: Option<OpenGroup>,
    pub(super) question: Option<Question>,
    /// A result or a failure, until the next key.
    pub(super) message: Option<String>,
}

impl Browser {
    /// Changes the state by a key. Returns what it asks for.
    pub(super) fn key(&mut self, key: KeyCode) -> Request {
        if self.question.is_some() {
            return self.answer(key);
        }
        if self.message.take().is_some() {
            return Request::Nothing;
        }
        let in_list = match (&mut self.open, key) {
            (Some(open), _) if open.shown_from.is_some() => return open.scroll(key),
            (None, KeyCode::Char('q') | KeyCode::Esc) => return Request::Quit,
            (Some(_), KeyCode::Char('q') | KeyCode::Esc | KeyCode::Left) => {
                self.open = None;
                return Request::Nothing;
            }
            (open, _) => open,
        };
        match key {
            KeyCode::Char('r') => self.choose(ChangeKind::Replay),
            KeyCode::Char('d') => self.choose(ChangeKind::Discard),
            KeyCode::Char('g') => Request::Read,
            key => match in_list {
                Some(open) => open.key(key),
                None => self.group_key(key),
            },
        }
    }

    fn group_key(&mut self, key: KeyCode) -> Request {
        self.selected = moved(self.selected, self.groups.all.len(), key);
        let Some(group) = self.groups.all.get_mut(self.selected) else { return Request::Nothing };
        match key {
            KeyCode::Char(' ') => group.is_marked = !group.is_marked,
            KeyCode::Enter | KeyCode::Right => return Request::Open(self.selected),
            _ => {}
        }
        Request::Nothing
    }

    const fn choose(&self, kind: ChangeKind) -> Request {
        if self.groups.all.is_empty() { Request::Nothing } else { Request::Choose(kind) }
    }

    /// Only the number itself confirms.
    fn answer(&mut self, key: KeyCode) -> Request {
        let Some(question) = &mut self.question else { return Request::Nothing };
        match key {
            KeyCode::Char(c) if question.answer.chars().count() < MAX_ANSWER => {
                question.answer.push(c);
            }
            KeyCode::Backspace => drop(question.answer.pop()),
            KeyCode::Enter => {
                let is_yes = confirms(&question.answer, question.count);
                self.question = None;
                if is_yes {
                    return Request::Change;
                }
                self.message = Some("That is not the number: nothing was changed.".to_owned());
                return Request::Cancel;
            }
            KeyCode::Esc => {
                self.question = None;
                return Request::Cancel;
            }
            _ => {}
        }
        Request::Nothing
    }

    /// Whether a change that is asked for now concerns this dead letter: a marked one, else the selected one, of the
    /// list that is shown.
    pub(super) fn concerns(
        &self,
        letter: &StoredLetter,
        identity: impl FnOnce() -> MessageIdentity,
    ) -> bool {
        match &self.open {
            Some(open) if open.marked.is_empty() => {
                open.letters.get(open.selected).is_some_and(|listed| listed.identity == identity())
            }
            Some(open) => open.marked.contains(&identity()),
            None => self.groups.place(letter).is_some_and(|place| {
                let any_marked = self.groups.all.iter().any(|group| group.is_marked);
                if any_marked { self.groups.all[place].is_marked } else { place == self.selected }
            }),
        }
    }
}

impl OpenGroup {
    fn key(&mut self, key: KeyCode) -> Request {
        self.selected = moved(self.selected, self.letters.len(), key);
        let Some(listed) = self.letters.get(self.selected) else { return Request::Nothing };
        match key {
            KeyCode::Char(' ') if !self.marked.remove(&listed.identity) => {
                self.marked.insert(listed.identity);
            }
            KeyCode::Enter | KeyCode::Right => self.shown_from = Some(0),
            _ => {}
        }
        Request::Nothing
    }

    /// A key while one dead letter is shown.
    fn scroll(&mut self, key: KeyCode) -> Request {
        let from = self.shown_from.unwrap_or_default();
        self.shown_from = match key {
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Left | KeyCode::Enter => None,
            KeyCode::Up | KeyCode::Char('k') => Some(from.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => Some(from.saturating_add(1)),
            KeyCode::PageUp => Some(from.saturating_sub(10)),
            KeyCode::PageDown => Some(from.saturating_add(10)),
            _ => Some(from),
        };
        Request::Nothing
    }
}
