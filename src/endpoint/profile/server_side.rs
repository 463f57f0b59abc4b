//! The server's side of a profile, for the mock endpoint: reads calls, and builds answers from the rules.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    AuthMethod, FieldValue, Profile, Repeat,
    answer::{AnswerRule, Condition, Scalar, StatusPattern},
    terms::{AnswerKind, BodyForm, BodyKind},
};

/// A call, as a server of the profile reads it. Not `Debug`: it holds the token and the secret.
pub struct ServedCall {
    /// The token.
    pub token: String,
    /// The client's id; empty if none is named.
    pub client_id: String,
    /// Its secret; empty if there is none.
    pub client_secret: String,
}

/// An answer that a server of the profile could give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleAnswer {
    /// Its status.
    pub status: u16,
    /// Its body: JSON or nothing.
    pub body: String,
}

/// The situation of a sample answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleOf {
    /// The first revocation of a token.
    Success,
    /// The second revocation of a token.
    Repeat,
    /// A token that the server rejects.
    Rejection,
    /// A client that the server does not know.
    Refusal,
}

impl Profile {
    /// Reads a call; `None` if it names no token.
    #[must_use]
    pub fn read_call(&self, authorization: Option<&str>, body: &[u8]) -> Option<ServedCall> {
        let fields = self.fields_of(body);
        let named = |value: &FieldValue| {
            let mut fields_of_profile = self.request.fields.iter();
            let (name, _) = fields_of_profile.find(|(_, field)| field == value)?;
            fields.get(name).cloned()
        };
        let by_header = |scheme| authorization.and_then(|header| header.strip_prefix(scheme));
        let token = match named(&FieldValue::Token) {
            None if self.auth() == AuthMethod::SelfBearer => by_header("Bearer ")?.to_owned(),
            token => token?,
        };
        let of =
            |value: &FieldValue, name: &str| named(value).or_else(|| fields.get(name).cloned());
        let in_body = || {
            let id = of(&FieldValue::ClientId, "client_id").unwrap_or_default();
            (id, of(&FieldValue::ClientSecret, "client_secret").unwrap_or_default())
        };
        let pair = by_header("Basic ").and_then(basic_pair);
        let (client_id, client_secret) = pair.unwrap_or_else(in_body);
        let call = ServedCall { token, client_id, client_secret };
        Some(call).filter(|call| !call.token.is_empty())
    }

    fn fields_of(&self, body: &[u8]) -> HashMap<String, String> {
        match self.request.body {
            BodyForm::None => HashMap::new(),
            BodyForm::Form => form_urlencoded::parse(body).into_owned().collect(),
            BodyForm::Json => {
                let json: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
                let text =
                    |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
                json.into_iter().filter_map(text).collect()
            }
        }
    }

    /// An answer that matches the first rule of this kind; `None` if the profile has no such rule.
    #[must_use]
    pub fn sample(&self, of: SampleOf) -> Option<SampleAnswer> {
        let kinds: &[AnswerKind] = match of {
            SampleOf::Success => {
                &[AnswerKind::Revoked, AnswerKind::Acknowledged, AnswerKind::Accepted]
            }
            SampleOf::Repeat => match self.repeat {
                Repeat::Revoked | Repeat::Accepted => return self.sample(SampleOf::Success),
                Repeat::Gone => &[AnswerKind::Gone],
                Repeat::Rejected => &[AnswerKind::Rejected],
            },
            SampleOf::Rejection => &[AnswerKind::Rejected, AnswerKind::Gone],
            SampleOf::Refusal => &[AnswerKind::Misconfigured],
        };
        let of_kind = |kind| self.answers.iter().find(|rule| rule.is == kind);
        kinds.iter().copied().find_map(of_kind).map(AnswerRule::sample)
    }
}

/// Id and secret, decoded as form values. Most pairs do not change by that.
fn basic_pair(base64: &str) -> Option<(String, String)> {
    let pair = String::from_utf8(BASE64_STANDARD.decode(base64).ok()?).ok()?;
    let decoded = |text: &str| {
        let (name, _) = form_urlencoded::parse(text.as_bytes()).next()?;
        Some(name.into_owned())
    };
    let (id, secret) = pair.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?))
}

impl AnswerRule {
    /// An answer that matches this rule.
    pub(super) fn sample(&self) -> SampleAnswer {
        let status = match self.status.first() {
            None => {
                if self.is == AnswerKind::Misconfigured {
                    401
                } else {
                    400
                }
            }
            Some(StatusPattern::Code(code)) => *code,
            Some(StatusPattern::Class(class)) => class * 100,
        };
        let asks = |condition: &Condition| *condition != Condition::Absent;
        let has_values = self.json.iter().any(|of| asks(&of.condition));
        if !has_values && self.body.first() != Some(&BodyKind::JsonObject) {
            return SampleAnswer { status, body: String::new() };
        }
        let mut json = Map::new();
        for of in &self.json {
            let value = match &of.condition {
                Condition::Absent => continue,
                Condition::Present => Value::from("x"),
                Condition::OneOf(scalars) => match scalars.first() {
                    Some(Scalar::Text(text)) => Value::from(text.as_str()),
                    Some(Scalar::Integer(number)) => Value::from(*number),
                    Some(Scalar::Bool(flag)) => Value::from(*flag),
                    None => continue,
                },
            };
            put(&mut json, &of.keys, value);
        }
        SampleAnswer { status, body: Value::Object(json).to_string() }
    }
}

/// Puts a value at a place.
fn put(json: &mut Map<String, Value>, keys: &[String], value: Value) {
    let [first, rest @ ..] = keys else { return };
    if rest.is_empty() {
        json.insert(first.clone(), value);
        return;
    }
    let below = json.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(below) = below {
        put(below, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use crate::endpoint::profile::{BUILTIN, builtin};

    /// Each rule of each built-in profile can match: its own sample matches it and no earlier rule.
    #[test]
    fn a_sample_of_a_rule_fits_that_rule_first() {
        for (name, _) in BUILTIN {
            let profile = builtin(name).unwrap();
            for (number, rule) in (1..).zip(&profile.answers) {
                let sample = rule.sample();
                let body = profile.read(sample.body.as_bytes());
                let fit = profile.first_fit(sample.status, &body).map(|(number, _)| number);
                assert_eq!(fit, Some(number), "{name}: {sample:?}");
            }
        }
    }

    #[test]
    fn a_call_is_read_as_it_is_made() {
        let read = |profile: &str, authorization, body: &str| {
            let call = builtin(profile).unwrap().read_call(authorization, body.as_bytes())?;
            Some((call.token, call.client_id, call.client_secret))
        };
        let call = |token: &str, id: &str, secret: &str| {
            Some((token.to_owned(), id.to_owned(), secret.to_owned()))
        };
        // shop:a%2Bb
        let basic = Some("Basic c2hvcDphJTJCYg==");
        assert_eq!(read("rfc7009", basic, "token=a%20b"), call("a b", "shop", "a+b"));
        let post = "token=t&client_id=shop&client_secret=s";
        assert_eq!(read("rfc7009", None, post), call("t", "shop", "s"));
        assert_eq!(read("slack", Some("Bearer t"), ""), call("t", "", ""));
        assert_eq!(
            read("github-app-token", basic, r#"{"access_token":"t"}"#),
            call("t", "shop", "a+b")
        );
        for nothing in ["", "token=", "x"] {
            assert_eq!(read("rfc7009", basic, nothing), None, "{nothing}");
        }
    }
}
