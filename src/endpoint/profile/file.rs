//! Reads the file of a profile.
//!
//! serde finds what is no profile at all, and stops at its first fault. `check` finds every other fault at once.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::{
    AuthMethod, BodyForm, Kills, Profile, ProfileFault, Proof, Repeat,
    answer::{AnswerKind, BodyKind},
    check::Checker,
};

/// A profile as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    pub name: Spanned<String>,
    pub token_max: Option<Spanned<i64>>,
    pub repeat: Spanned<Repeat>,
    pub proof: Spanned<Proof>,
    pub scope: Option<Kills>,
    pub after_rejections: Option<Spanned<i64>>,
    pub request: Spanned<RequestFile>,
    #[serde(rename = "answer", default)]
    pub answers: Vec<Spanned<AnswerFile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestFile {
    pub method: RequestMethod,
    pub url: Spanned<String>,
    #[serde(default)]
    pub path: Vec<Spanned<String>>,
    pub body: Spanned<BodyForm>,
    pub auth: Spanned<AuthMethod>,
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub fields: BTreeMap<String, Spanned<String>>,
    pub token_type_hint: Option<Spanned<String>>,
}

#[derive(Deserialize, Clone, Copy)]
pub(super) enum RequestMethod {
    #[serde(rename = "POST")]
    Post,
    #[serde(rename = "DELETE")]
    Delete,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerFile {
    pub status: Option<Spanned<Value>>,
    pub body: Option<Spanned<Vec<BodyKind>>>,
    #[serde(default)]
    pub json: BTreeMap<String, Spanned<Value>>,
    pub is: Spanned<AnswerKind>,
    pub code: Option<Spanned<String>>,
    pub detail: Option<Spanned<String>>,
}

impl Profile {
    /// Reads the file of a profile.
    ///
    /// # Errors
    ///
    /// Every fault, each with its line.
    pub fn parse(text: &str) -> Result<Self, Vec<ProfileFault>> {
        let lines = Lines::of(text);
        let file: ProfileFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| lines.line(span.start));
            vec![ProfileFault { line, what: error.message().replace('\n', " ") }]
        })?;
        Checker::new(lines).profile(file)
    }
}

/// Where the lines of a text begin, in bytes.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, counted from 1.
    pub fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }
}
