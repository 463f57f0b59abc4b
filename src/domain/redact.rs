//! Keeps a job's own secrets out of foreign texts.
//!
//! An endpoint may echo a request, and a producer may use the token as the message id. Neither may reach a log line or
//! a header of ours. An echo may be encoded, escaped or cut. So the search finds every run of characters that a text
//! shares with a form of a secret, not only whole secrets. A list of whole forms was turned down, because it cannot
//! contain every cut.
//!
//! Replacing every long string was turned down as well: operators need request ids and codes to ask the
//! vendor about a failure. So some encodings pass; docs/queues.md lists them.
//!
//! The cost grows with the length of the text. The endpoint's texts are cut to 1,024 characters first, and a
//! revoked job needs no search.

mod forms;
mod ordinary;
mod pairs;
mod read_text;
mod reading;
mod runs;
#[cfg(test)]
mod tests;

use std::{ops::ControlFlow, sync::OnceLock};

use secrecy::{ExposeSecret, SecretString};

use self::{forms::Form, read_text::ReadText};

/// Replaces a secret in a text.
const REDACTED: &str = "[redacted]";

/// This many characters of a secret in a row reveal something of it. Words that a text and a secret share
/// by chance are mostly shorter.
const RUN: usize = 8;

/// The same for ids, which share no words by chance.
const RUN_OF_AN_ID: usize = 6;

/// Searches foreign texts for secrets of one job, in the forms that docs/queues.md lists.
#[derive(Default)]
pub struct Redactor<'a> {
    /// Inline: each job makes two redactors, and few jobs have more secrets.
    secrets: [Option<&'a SecretString>; 3],
    more_secrets: Vec<&'a SecretString>,
    /// Built for the first search: most jobs need none.
    forms: OnceLock<Vec<Form>>,
    forms_of_an_id: OnceLock<Vec<Form>>,
}

impl std::fmt::Debug for Redactor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets().count()).finish_non_exhaustive()
    }
}

impl<'a> Redactor<'a> {
    /// A redactor for these secrets; empty ones are ignored.
    pub fn new(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut given = secrets.into_iter().filter(|secret| !secret.expose_secret().is_empty());
        let secrets = std::array::from_fn(|_| given.next());
        Self { secrets, more_secrets: given.collect(), ..Self::default() }
    }

    fn secrets(&self) -> impl Iterator<Item = &'a SecretString> + Clone {
        self.secrets.iter().flatten().chain(&self.more_secrets).copied()
    }

    /// `text` on one line, without every run of characters that reveals something of a secret: 8 in a row, or
    /// half of a shorter secret.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let mut hidden = vec![false; text.len()];
        let _: ControlFlow<()> = self.search(text, &self.forms, RUN, &mut |from, to| {
            hidden[from..to].fill(true);
            ControlFlow::Continue(())
        });
        let mut clean = String::with_capacity(text.len());
        let mut was_hidden = false;
        for (at, c) in text.char_indices() {
            match (hidden[at], was_hidden) {
                (false, _) if c.is_control() => clean.push(' '),
                (false, _) => clean.push(c),
                (true, false) => clean.push_str(REDACTED),
                (true, true) => {}
            }
            was_hidden = hidden[at];
        }
        // A secret with a blank in it appears only now if the text had a control character in its place.
        for secret in self.wholes().filter(|secret| !REDACTED.contains(secret)) {
            if clean.contains(secret) {
                clean = clean.replace(secret, REDACTED);
            }
        }
        clean
    }

    /// Each secret as it is, and without blanks around it.
    fn wholes(&self) -> impl Iterator<Item = &str> {
        let secrets = self.secrets().map(SecretString::expose_secret);
        secrets.flat_map(|secret| [secret, secret.trim()]).filter(|whole| !whole.is_empty())
    }

    /// Whether an id reveals a part of a secret. It does if both share 6 characters in a row, or half of a
    /// shorter secret. It also does if the id is a part of the secret.
    #[must_use]
    pub fn concerns(&self, id: &str) -> bool {
        let secrets = self.secrets().map(SecretString::expose_secret);
        self.shows(id) || !ordinary::shows_nothing(id, &secrets) && self.is_found_in(id)
    }

    /// The whole search of an id.
    fn is_found_in(&self, id: &str) -> bool {
        let found = |_, _| ControlFlow::Break(());
        self.search(id, &self.forms_of_an_id, RUN_OF_AN_ID, &mut { found }).is_break()
    }

    /// Whether `text` contains a secret as it is, or is a part of one. A cheap check for every job.
    #[must_use]
    pub fn shows(&self, text: &str) -> bool {
        self.secrets().any(|secret| {
            let secret = secret.expose_secret().trim();
            !text.is_empty() && (is_part(secret, text) || is_part(text, secret))
        })
    }

    /// Calls `tell` with the byte range of each run that `text` shares with a secret.
    fn search(
        &self,
        text: &str,
        forms: &OnceLock<Vec<Form>>,
        run: usize,
        tell: &mut impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.secrets().next().is_none() {
            return ControlFlow::Continue(());
        }
        // This search is separate because no reading keeps every character.
        for whole in self.wholes() {
            for (at, _) in text.match_indices(whole) {
                tell(at, at + whole.len())?;
            }
        }
        let forms = forms.get_or_init(|| {
            self.secrets().flat_map(|secret| forms::of(secret.expose_secret(), run)).collect()
        });
        let shortest = forms.iter().map(|form| form.run).min().unwrap_or(run);
        let mut read =
            if run == RUN { ReadText::of(text, shortest) } else { ReadText::new(text, shortest) };
        // Ids do not repeat, so they would only displace a text that does.
        let mut found = false;
        for (is_bare, runs) in &mut read.readings {
            for form in forms.iter().filter(|form| form.is_bare == *is_bare) {
                runs.search(form, &mut |from, to| {
                    found = true;
                    tell(from, to)
                })?;
            }
        }
        if run == RUN && !found {
            read.remember();
        }
        ControlFlow::Continue(())
    }
}

/// `text` cut to at most `max` characters. A cut text ends with an ellipsis.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Whether `text` contains `part`. Both are short here. The standard library's search would cost more than a
/// thousand instructions of preparation for each job.
fn is_part(part: &str, text: &str) -> bool {
    let (part, text) = (part.as_bytes(), text.as_bytes());
    let Some(first) = part.first() else { return true };
    // Most places fail here, without a call to compare the rest.
    text.windows(part.len()).any(|window| window[0] == *first && window == part)
}
