//! What of the settings people may see: never a password.

use std::fmt::Write as _;

use lapin::types::{AMQPValue, FieldTable};
use secrecy::SecretString;

use super::{connect::parse, settings::BrokerSettings};
use crate::domain::Lane;

/// Returns each URL as `user@host:port/vhost`, with its scheme and without its password.
pub(crate) fn shown_urls(settings: &BrokerSettings) -> Vec<String> {
    settings.urls.iter().map(shown_url).collect()
}

fn shown_url(url: &SecretString) -> String {
    let Some((uri, target)) = parse(url) else { return "not an AMQP URL".to_owned() };
    let scheme = if target.tls { "amqps" } else { "amqp" };
    let user = &uri.authority.userinfo.username;
    format!("{scheme}://{user}@{target}/{}", uri.vhost)
}

/// Returns the arguments of a lane's queue, as `name=value`, sorted.
pub(crate) fn arguments_of(settings: &BrokerSettings, lane: Lane) -> String {
    let own = settings.queues().own(lane).into_iter().next();
    own.map(|(_, arguments)| shown_table(&arguments)).unwrap_or_default()
}

fn shown_table(arguments: &FieldTable) -> String {
    let mut text = String::new();
    for (name, value) in arguments.inner() {
        // Writing to a string cannot fail.
        let _ = match value {
            AMQPValue::LongString(value) => write!(text, "{name}=\"{value}\" "),
            AMQPValue::LongLongInt(value) => write!(text, "{name}={value} "),
            other => write!(text, "{name}={other:?} "),
        };
    }
    text.trim_end().to_owned()
}

/// Returns the words of the command that grants a worker its rights, with the first URL's user and virtual host.
pub(crate) fn grant(settings: &BrokerSettings) -> Vec<String> {
    let parsed = settings.urls.first().and_then(parse);
    let (user, vhost) = parsed.map_or_else(
        || ("USER".to_owned(), "VHOST".to_owned()),
        |(uri, _)| (uri.authority.userinfo.username, uri.vhost),
    );
    let mut family = format!(r"{}(\..*)?", escaped(&settings.queue));
    if let Some(outcomes) = &settings.outcomes {
        family = format!("({family}|{})", escaped(outcomes));
    }
    let [configure, write, read] = if settings.declare.makes_missing() {
        [format!("^{family}$"), format!(r"^(amq\.default|{family})$"), format!("^{family}$")]
    } else {
        ["^$".to_owned(), r"^amq\.default$".to_owned(), format!("^{family}$")]
    };
    let words = ["rabbitmqctl", "set_permissions", "-p"].map(str::to_owned);
    words.into_iter().chain([vhost, user, configure, write, read]).collect()
}

/// A name as a regular expression that matches only this name.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    for c in name.chars() {
        if !c.is_alphanumeric() && !matches!(c, '-' | '_') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("amqp://worker:hunter2@rabbit.example/jobs", "amqp://worker@rabbit.example:5672/jobs"),
            ("amqps://worker:hunter2@[::1]:1234/%2f", "amqps://worker@[::1]:1234//"),
            ("amqp://rabbit.example", "amqp://guest@rabbit.example:5672//"),
        ] {
            assert_eq!(shown_url(&url.into()), shown);
        }
        assert_eq!(shown_url(&"hunter2".into()), "not an AMQP URL");
    }

    #[test]
    fn a_name_is_a_pattern_of_itself() {
        assert_eq!(escaped("a.b+c-d_e"), r"a\.b\+c-d_e");
    }
}
