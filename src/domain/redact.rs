//! Keeps a job's own secrets out of texts that came from elsewhere.

use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// Searches foreign text for secrets of the job at hand. An endpoint may echo what it was sent, and a
/// producer may use the token as the message id: neither may reach a log line or a header of ours.
#[derive(Debug, Default)]
pub struct Redactor<'a> {
    secrets: Vec<&'a SecretString>,
}

impl<'a> Redactor<'a> {
    /// A redactor of these secrets; empty ones are ignored.
    pub fn new(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let secrets =
            secrets.into_iter().filter(|secret| !secret.expose_secret().is_empty()).collect();
        Self { secrets }
    }

    /// `text` on one line, every secret in it replaced, as it is or as JSON would escape it.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.secrets {
            let secret = secret.expose_secret();
            let escaped = serde_json::to_string(secret).unwrap_or_default();
            // The longest form first: what is left of it after a shorter one was replaced could show.
            let forms = [escaped.trim_matches('"'), secret, secret.trim()];
            for (i, form) in forms.iter().enumerate() {
                if !form.is_empty() && !forms[..i].contains(form) {
                    clean = clean.replace(form, REDACTED);
                }
            }
        }
        clean.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// Whether `text` shows one of the secrets, or is a part of one.
    #[must_use]
    pub fn concerns(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| {
            let secret = secret.expose_secret().trim();
            !text.is_empty() && (text.contains(secret) || secret.contains(text))
        })
    }
}

/// `text` cut to at most `max` characters, with an ellipsis in the last place where something is
/// missing.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(secrets: &[&str], text: &str) -> String {
        let secrets: Vec<SecretString> = secrets.iter().map(|s| SecretString::from(*s)).collect();
        Redactor::new(&secrets).clean(text)
    }

    #[test]
    fn every_form_of_every_secret_is_replaced() {
        assert_eq!(
            clean(&["tok-1", "sec"], "no tok-1 with sec, tok-1"),
            "no [redacted] with [redacted], [redacted]"
        );
        assert_eq!(clean(&[" tok"], "token 'tok'!"), "[redacted]en '[redacted]'!");
        assert_eq!(clean(&["a\"b"], r#"said a\"b"#), "said [redacted]");
        assert_eq!(clean(&[""], "nothing to hide"), "nothing to hide");
    }

    #[test]
    fn a_cleaned_text_stays_on_one_line() {
        assert_eq!(clean(&[], "one\ntwo\u{1b}[31m"), "one two [31m");
    }

    #[test]
    fn a_part_of_a_secret_concerns_it() {
        let secrets = [SecretString::from("0123456789")];
        let redactor = Redactor::new(&secrets);
        assert!(redactor.concerns("id-0123456789"));
        assert!(redactor.concerns("345678"));
        assert!(!redactor.concerns("logout-7"));
    }

    #[test]
    fn a_text_is_cut_by_characters() {
        assert_eq!(cut("ñandú", 5), "ñandú");
        assert_eq!(cut("ñandúes", 5), "ñand…");
    }
}
