//! Tests of the built-in profiles against answers of their servers, and of the invariants of every profile.

mod alignet;
mod answers;
mod faults;
mod properties;
mod requests;

use http::StatusCode;
use secrecy::SecretString;

use super::{answer::TextContext, *};
use crate::{
    domain::{Redactor, Verdict},
    endpoint::classify::{HttpResponse, ResponseBody},
};

/// The verdict of a profile on an answer, by its rules alone.
fn judge(profile: &Profile, status: u16, body: &str) -> Option<Verdict> {
    let secrets = ["canary-token", "canary-secret"].map(SecretString::from);
    let redactor = Redactor::new(&secrets);
    let texts = TextContext { locale: "es_PE", redactor: &redactor };
    let answer = HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: &HeaderMap::new(),
        body: ResponseBody::Whole(body.as_bytes()),
    };
    profile.judge(&answer, &profile.read(body.as_bytes()), &texts)
}

#[test]
fn every_built_in_profile_is_sound_and_has_its_name() {
    for (name, file) in BUILTIN {
        match Profile::parse(file) {
            Ok(profile) => assert_eq!(profile.name, name),
            Err(faults) => panic!("{name}: {faults:?}"),
        }
        assert!(builtin(name).is_some(), "{name}");
    }
    assert!(builtin("nobody").is_none());
}
