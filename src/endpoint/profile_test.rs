//! Judges an answer by a profile, without a call.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use super::{
    classify::{ClassifyContext, HttpResponse, ResponseBody, classify, is_fixed},
    http::MAX_ANSWER_BYTES,
    profile::Profile,
};
use crate::domain::{Redactor, Verdict};

/// What a profile makes of an answer.
#[derive(Debug)]
pub struct ProfileTest {
    /// The rule that fits: its number from 1, and its line in the profile's file. `None` if none fits, or if the
    /// status decides before any rule.
    pub rule: Option<(usize, usize)>,
    /// What follows.
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
    let read = if whole { profile.read(body) } else { super::profile::AnswerBody::Other };
    let fit = profile.first_fit(code, &read).filter(|_| !is_fixed(code));
    ProfileTest {
        rule: fit.map(|(number, rule)| (number, rule.line)),
        verdict: classify(&answer, &context),
    }
}
