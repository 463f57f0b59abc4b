//! Values as they may be shown: secrets are hidden.

use std::path::Path;

use serde_json::Value;
use url::Url;

use super::{
    form::{Form, SecretForm},
    value::ConfigValue,
};

/// Stands for what must not be shown.
pub(super) const HIDDEN: &str = "***";

/// A value in the form of its setting.
pub(super) fn json(form: &Form, value: &ConfigValue) -> Value {
    match (form, value) {
        (Form::List(item), ConfigValue::Raw(text)) => {
            let items = text.split(',').map(|text| ConfigValue::Raw(text.trim().to_owned()));
            items.map(|value| json(item, &value)).collect()
        }
        (Form::List(item), ConfigValue::List(items)) => {
            items.iter().map(|value| json(item, value)).collect()
        }
        (
            Form::Flag | Form::FlagOr(_) | Form::Count(_) | Form::Number(_),
            ConfigValue::Raw(text),
        ) => {
            // What is not written as JSON writes it, like `+1`, is shown as it stands.
            serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
        }
        (_, ConfigValue::Raw(text) | ConfigValue::Text(text)) => text_of(form, text).into(),
        (_, ConfigValue::Integer(number)) => (*number).into(),
        (_, ConfigValue::Float(number)) => (*number).into(),
        (_, ConfigValue::Flag(flag)) => (*flag).into(),
        // No setting of another form has such a value, and a table has no value of its own.
        (_, ConfigValue::List(_) | ConfigValue::Table | ConfigValue::Other(_)) => Value::Null,
    }
}

fn text_of(form: &Form, text: &str) -> String {
    match form {
        Form::Secret(form) => secret(*form, text),
        Form::Url => url(text),
        // A path that names nothing may be a secret in the wrong place.
        Form::Path if !Path::new(text).exists() => HIDDEN.to_owned(),
        _ => text.to_owned(),
    }
}

/// A secret without what must not be shown.
pub(super) fn secret(form: SecretForm, text: &str) -> String {
    match form {
        SecretForm::Hidden => HIDDEN.to_owned(),
        SecretForm::WebUrl => url(text),
        SecretForm::BrokerUrls => {
            text.split(',').map(|part| url(part.trim())).collect::<Vec<_>>().join(",")
        }
    }
}

/// A URL without its password, and without the values of its query, which may be keys. A user name without a password at
/// a web server is mostly a key as well.
fn url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return HIDDEN.to_owned() };
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_key = is_web && !url.username().is_empty() && url.password().is_none();
    let hidden = match url.password() {
        Some(_) => url.set_password(Some(HIDDEN)).is_ok(),
        None => !is_key || url.set_username(HIDDEN).is_ok(),
    };
    if !hidden || url.cannot_be_a_base() {
        return HIDDEN.to_owned();
    }
    // A URL that hides nothing is shown as it is written.
    if url.query().is_none() && url.password().is_none() && url.fragment().is_none() && !is_key {
        return text.to_owned();
    }
    url.set_fragment(None);
    if is_web && url.query().is_some() {
        url.set_query(Some(HIDDEN));
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_queries_of_urls_are_hidden() {
        for (form, text, shown) in [
            (SecretForm::Hidden, "secret", "***"),
            (
                SecretForm::BrokerUrls,
                "amqp://u:p@a/%2f?frame_max=4096, amqps://b",
                "amqp://u:***@a/%2f?frame_max=4096,amqps://b",
            ),
            (SecretForm::BrokerUrls, "amqp://u:s,ecret@a", "***,***"),
            (SecretForm::BrokerUrls, "secret", "***"),
            (SecretForm::BrokerUrls, "amqp:secret", "***"),
            (SecretForm::WebUrl, "http://u:p@proxy:3128", "http://u:***@proxy:3128/"),
            (SecretForm::WebUrl, "http://proxy?key=secret#secret", "http://proxy/?***"),
            (SecretForm::WebUrl, "http://key@proxy", "http://***@proxy/"),
            (SecretForm::BrokerUrls, "amqp://u@a", "amqp://u@a"),
            (SecretForm::WebUrl, "http://proxy", "http://proxy"),
        ] {
            assert_eq!(secret(form, text), shown, "{text}");
        }
    }

    #[test]
    fn values_of_variables_have_the_type_of_their_setting() {
        let raw = |text: &str| ConfigValue::Raw(text.to_owned());
        let park = Form::List(Box::new(Form::Text));
        assert_eq!(json(&park, &raw("1s, 2s")), serde_json::json!(["1s", "2s"]));
        assert_eq!(json(&Form::Flag, &raw("true")), Value::Bool(true));
        assert_eq!(json(&Form::Count(0..=9), &raw("7")), Value::from(7));
        assert_eq!(json(&Form::Count(0..=9), &raw("+7")), Value::from("+7"));
        assert_eq!(json(&Form::Text, &raw("7")), Value::from("7"));
    }
}
