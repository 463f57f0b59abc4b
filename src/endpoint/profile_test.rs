//! Finds a profile by its name or its file, and judges an answer by it without a call.

use std::{io, path::Path, sync::Arc, time::SystemTime};

use http::{HeaderMap, StatusCode};

use super::{
    bounded_file::read_file,
    classify::{ClassifyContext, HttpResponse, ResponseBody, classify, is_fixed},
    http::MAX_ANSWER_BYTES,
    profile::{self, Profile},
};
use crate::domain::{Redactor, Verdict};

/// The verdict of a profile on an answer.
#[derive(Debug)]
pub struct ProfileTest {
    /// The matching rule: its number from 1, and its line in the profile's file. `None` if no rule matches, or if the
    /// status decides first.
    pub rule: Option<(usize, usize)>,
    /// The resulting verdict.
    pub verdict: Verdict,
}

/// Judges an answer as the worker would.
#[must_use]
pub fn test_profile(profile: &Profile, status: StatusCode, body: &[u8]) -> ProfileTest {
    let headers = HeaderMap::new();
    let whole = body.len() <= MAX_ANSWER_BYTES && !status.is_redirection();
    let response = if whole { ResponseBody::Whole(body) } else { ResponseBody::TooLarge };
    let answer = HttpResponse { status, headers: &headers, body: response };
    let context = ClassifyContext {
        profile: Some(profile),
        locale: "",
        redactor: Redactor::new([]),
        now: SystemTime::UNIX_EPOCH,
    };
    let code = status.as_u16();
    let read = if whole { profile.read(body) } else { profile::AnswerBody::Other };
    let fit = profile.first_fit(code, &read).filter(|_| !is_fixed(code));
    ProfileTest {
        rule: fit.map(|(number, rule)| (number, rule.line)),
        verdict: classify(&answer, &context),
    }
}

/// Finds a built-in profile by its name, or reads the file of another one. Blocks on the file system.
///
/// # Errors
///
/// A text with one fault of the file per line.
pub fn find_profile(name: &str) -> Result<Arc<Profile>, String> {
    if let Some(profile) = profile::builtin(name) {
        return Ok(profile);
    }
    let text = read_file(Path::new(name)).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    let text = text.map_err(|error| {
        format!(
            "{name} is neither a built-in profile nor a file that can be read ({error}): \
             `revoker profile list` lists the built-in ones"
        )
    })?;
    Profile::parse_own(&text).map(Arc::new).map_err(|faults| {
        let lines: Vec<_> =
            faults.iter().map(|fault| format!("{name}:{}: {}", fault.line, fault.what)).collect();
        lines.join("\n")
    })
}
