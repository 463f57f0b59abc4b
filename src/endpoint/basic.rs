//! Id and secret in the header `Authorization`: RFC 7617.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use super::settings::BasicEncoding;

/// The pair in base64. It is a secret: a text that shows it must not be kept.
pub(super) fn pair(id: &str, secret: &SecretString, encoding: BasicEncoding) -> SecretString {
    let secret = secret.expose_secret();
    let pair = match encoding {
        BasicEncoding::Raw => format!("{id}:{secret}"),
        BasicEncoding::Form => format!("{}:{}", in_a_form(id), in_a_form(secret)),
    };
    BASE64_STANDARD.encode(pair).into()
}

/// The header of a pair.
pub(super) fn header(pair: &SecretString) -> Option<HeaderValue> {
    sensitive(&format!("Basic {}", pair.expose_secret()))
}

/// The header of a bearer token; `None` if a header cannot contain the token.
pub(super) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let token = token.expose_secret();
    let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| sensitive(&format!("Bearer {token}"))).flatten()
}

fn in_a_form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Marks a value as sensitive: libraries do not log it, and HTTP/2 does not index it.
fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_encoded_as_the_server_wants_it_and_its_header_is_sensitive() {
        let secret = SecretString::from("a:+% /ñ");
        let decoded = |encoding| {
            let pair = pair("my shop", &secret, encoding);
            String::from_utf8(BASE64_STANDARD.decode(pair.expose_secret()).unwrap()).unwrap()
        };
        assert_eq!(decoded(BasicEncoding::Form), "my+shop:a%3A%2B%25+%2F%C3%B1");
        assert_eq!(decoded(BasicEncoding::Raw), "my shop:a:+% /ñ");
        let header = header(&pair("shop", &secret, BasicEncoding::Form)).unwrap();
        assert!(header.is_sensitive() && bearer(&"token".into()).unwrap().is_sensitive());
        for unfit in ["", "a b", "a\nb", "ñ"] {
            assert!(bearer(&unfit.into()).is_none(), "{unfit:?}");
        }
    }
}
