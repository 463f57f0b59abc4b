//! The text of a rejection: a string, a list of `{locale, value}`, one such object, or nothing.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::shape::Shape;
use crate::domain::{Redactor, cut};

/// The longest text that is kept, in characters.
pub(super) const MAX_MESSAGE_CHARS: usize = 240;

/// The longest text that is searched for secrets, in characters. Later text is visible only if nearly all text before
/// it is redacted, and then it is too short to reveal a secret.
pub(super) const MAX_SEARCHED_CHARS: usize = 1024;

#[derive(Deserialize)]
struct LocalizedMessage<'a> {
    #[serde(borrow, default)]
    locale: Shape<'a>,
    #[serde(borrow, default)]
    value: Shape<'a>,
}

/// The message in `locale`, else the first one; `None` without a text. It is redacted before it is cut,
/// because the rest of a secret would not be found after a cut.
pub(super) fn pick(messages: &RawValue, locale: &str, redactor: &Redactor<'_>) -> Option<String> {
    if messages.get().starts_with('"') {
        let text: String = serde_json::from_str(messages.get()).ok()?;
        return (!text.trim().is_empty()).then(|| kept(&text, redactor));
    }
    let messages = read(messages.get())?;
    let texts = || {
        messages.iter().filter_map(|message| {
            let text = message.value.text().filter(|text| !text.trim().is_empty())?;
            Some((message.locale.text(), text))
        })
    };
    let (_, text) = texts().find(|(found, _)| *found == Some(locale)).or_else(|| texts().next())?;
    Some(kept(text, redactor))
}

fn kept(text: &str, redactor: &Redactor<'_>) -> String {
    cut(&redactor.clean(&cut(text, MAX_SEARCHED_CHARS)), MAX_MESSAGE_CHARS)
}

/// The messages. An invalid one counts as absent; in a list only objects count.
fn read(json: &str) -> Option<Vec<LocalizedMessage<'_>>> {
    let messages: Vec<Shape<'_, LocalizedMessage<'_>>> = if json.starts_with('[') {
        serde_json::from_str(json).ok()?
    } else {
        vec![serde_json::from_str(json).ok()?]
    };
    Some(messages.into_iter().filter_map(Shape::object).collect())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn text(json: &str) -> Option<String> {
        let secret = SecretString::from("s3cret");
        pick(&RawValue::from_string(json.to_owned()).unwrap(), "es_PE", &Redactor::new([&secret]))
    }

    #[test]
    fn the_configured_locale_is_kept_else_the_first() {
        let cases = [
            (
                r#"[{"locale":"en_US","value":"gone"},{"locale":"es_PE","value":"fue"}]"#,
                Some("fue"),
            ),
            (
                r#"[{"locale":"en_US","value":"gone"},{"locale":"pt_BR","value":"foi"}]"#,
                Some("gone"),
            ),
            (r#"{"locale":"en_US","value":"gone"}"#, Some("gone")),
            (r#"{"value":"gone"}"#, Some("gone")),
            (r#"[7,"x",{"locale":"es_PE"},{"value":""},{"value":"gone"}]"#, Some("gone")),
            (r#"[{"locale":"es_PE","value":7},{"value":"gone"}]"#, Some("gone")),
            ("[]", None),
            ("7", None),
            (r#""gone""#, Some("gone")),
            (r#"" ""#, None),
            (r#"{"value":["gone"]}"#, None),
            (r#"{"value":"one","value":"two"}"#, None),
        ];
        for (json, expected) in cases {
            assert_eq!(text(json).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn a_secret_is_removed_before_the_text_is_cut() {
        let padding = "x".repeat(MAX_MESSAGE_CHARS - 3);
        let kept = text(&format!(r#"{{"value":"{padding}s3cret and more"}}"#)).unwrap();
        assert!(!kept.contains("s3"), "{kept}");
        assert_eq!(kept.chars().count(), MAX_MESSAGE_CHARS);
    }

    #[test]
    fn a_secret_behind_many_others_is_removed_as_well() {
        let kept = text(&format!(r#"{{"value":"{}"}}"#, "s3cret, ".repeat(10_000))).unwrap();
        assert!(!kept.contains("s3c"), "{kept}");
        assert!(kept.starts_with("[redacted], [redacted]"), "{kept}");
    }
}
