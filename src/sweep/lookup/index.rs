//! The tokens of one part, and the entries of the journal that name them.

use std::collections::HashMap;

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::fate::{Fate, Found, Looked, MatchedBy};
use crate::{
    domain::{Fingerprint, Job, JobKey, from_hex},
    sweep::journal::{EntryKind, JournalEntry},
};

/// A line of the input.
pub(super) struct AskedToken {
    line: u64,
    token: Result<TokenHashes, String>,
}

#[derive(Clone, Copy)]
struct TokenHashes {
    fingerprint: Fingerprint,
    sha256: [u8; 32],
    /// The key of the job, if the defaults are those of its line.
    key: JobKey,
}

impl AskedToken {
    pub(super) fn of(line: u64, job: &Job) -> Self {
        let sha256 = Sha256::digest(job.token.expose_secret()).into();
        Self {
            line,
            token: Ok(TokenHashes { fingerprint: job.fingerprint, sha256, key: job.key() }),
        }
    }

    /// A line that holds no token.
    pub(super) const fn refused(line: u64, why: String) -> Self {
        Self { line, token: Err(why) }
    }
}

/// The fates of one token: one for each job that names it.
#[derive(Default)]
struct TokenFates {
    sha256: [u8; 32],
    fates: Vec<Fate>,
}

/// What the journal says of the tokens of a part.
pub(super) struct Index {
    tokens: Vec<TokenFates>,
    by_fingerprint: HashMap<Fingerprint, Vec<usize>>,
    by_key: HashMap<JobKey, usize>,
    /// The token and the job of each line of the current input that has an entry.
    lines: HashMap<u64, (usize, usize)>,
}

impl Index {
    pub(super) fn new(part: &[AskedToken]) -> Self {
        let mut index = Self {
            tokens: Vec::new(),
            by_fingerprint: HashMap::new(),
            by_key: HashMap::new(),
            lines: HashMap::new(),
        };
        for token in part.iter().filter_map(|asked| asked.token.as_ref().ok()) {
            let place = index.place(token).unwrap_or_else(|| {
                let place = index.tokens.len();
                index.tokens.push(TokenFates { sha256: token.sha256, fates: Vec::new() });
                index.by_fingerprint.entry(token.fingerprint).or_default().push(place);
                place
            });
            index.by_key.insert(token.key, place);
        }
        index
    }

    /// Notes the entry of a line, if it is that of a token in question.
    pub(super) fn enter(&mut self, entry: &JournalEntry) {
        let Some((places, by)) = self.places(entry) else { return };
        for place in places {
            let fates = &mut self.tokens[place].fates;
            let known = fates.iter().position(|fate| fate.is_of(entry.key));
            let at = known.unwrap_or_else(|| {
                fates.push(Fate::new(entry.clone(), by));
                fates.len() - 1
            });
            if known.is_some() {
                fates[at].enter(entry);
            }
            // The outcome of a repeated line is that of the line before it.
            if entry.kind != EntryKind::Repeated {
                self.lines.insert(entry.line, (place, at));
            }
        }
    }

    /// Notes that lines may be called again.
    pub(super) fn reopen(&mut self, lines: &[u64]) {
        for line in lines {
            if let Some((token, fate)) = self.lines.get(line) {
                self.tokens[*token].fates[*fate].reopen(*line);
            }
        }
    }

    /// Another input begins: its line numbers are others. What became of a token stays.
    pub(super) fn begin_again(&mut self) {
        self.lines.clear();
    }

    /// The result for a line of the input. `refused_lines` are those of the journal.
    pub(super) fn looked(&self, asked: &AskedToken, refused_lines: u64) -> Looked {
        let line = asked.line;
        let token = match &asked.token {
            Ok(token) => token,
            Err(why) => return Looked::Refused { line, refused: why.clone() },
        };
        let fingerprint = token.fingerprint.to_string();
        let fates = self.place(token).map_or(&[][..], |place| self.tokens[place].fates.as_slice());
        // The last of equal ones, which is the latest.
        let best = fates.iter().max_by_key(|fate| fate.rank());
        match best {
            None => Looked::NotFound { line, fingerprint, refused_lines },
            Some(best) => Looked::Found(Box::new(Found::new(line, fingerprint, best, fates))),
        }
    }

    fn place(&self, token: &TokenHashes) -> Option<usize> {
        let places = self.by_fingerprint.get(&token.fingerprint)?;
        places.iter().copied().find(|place| self.tokens[*place].sha256 == token.sha256)
    }

    /// The tokens that an entry may be about, and how they were recognised.
    fn places(&self, entry: &JournalEntry) -> Option<(Vec<usize>, MatchedBy)> {
        let name = &entry.token;
        let Some(fingerprint) = name.fingerprint else {
            return Some((vec![*self.by_key.get(&entry.key?)?], MatchedBy::Key));
        };
        let places = self.by_fingerprint.get(&fingerprint)?;
        match name.token_sha256.as_deref().and_then(from_hex::<32>) {
            None => Some((places.clone(), MatchedBy::Fingerprint)),
            Some(sha256) => {
                let is_same = |place: &usize| self.tokens[*place].sha256 == sha256;
                Some((places.iter().copied().filter(is_same).collect(), MatchedBy::Sha256))
            }
        }
    }
}
