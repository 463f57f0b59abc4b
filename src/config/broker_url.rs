//! Checks a broker's URL against misinterpretation by the client library.
//!
//! The client library reads URLs leniently. It connects to `localhost` if there is no host name, and a `/`
//! or `#` in a password ends the host for it. URLs that it would misread are refused here.

use std::ops::RangeInclusive;

use url::Url;

use super::{endpoint::is_loopback, faults::Problem};

/// The protection of the connection to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkSecurity {
    /// TLS.
    Encrypted,
    /// No encryption, but the traffic stays on this machine.
    Loopback,
    /// No encryption.
    Plain,
}

/// The form of a valid URL.
const FORM: &str = "write it like amqps://user:password@host:5671/vhost; in names and password, write \
                    %2F for /, %3F for ?, %23 for #, %40 for @, %2C for a comma";

/// URL parameters that have a configuration key of their own, and these keys.
const OWN_KEYS: [(&str, &str); 2] =
    [("heartbeat", "broker.heartbeat"), ("connection_timeout", "broker.connect_timeout")];

/// Parameters that the client library reads.
const PARAMETERS: [&str; 3] = ["auth_mechanism", "channel_max", "frame_max"];

/// The largest frame in bytes, at least AMQP's minimum. The headers of a dead letter are cut to fit. The client library
/// reserves memory for 64 of the largest.
const FRAME_MAX: RangeInclusive<u32> = 4_096..=1_048_576;

/// Channels of one connection. Each lane has one, and so has each inspection of the queues.
const CHANNEL_MAX: RangeInclusive<u32> = 16..=65_535;

/// The authentication mechanisms of the client library.
const MECHANISMS: [&str; 5] = ["plain", "external", "amqplain", "anonymous", "rabbit-cr-demo"];

pub(super) fn check(text: &str) -> Result<LinkSecurity, Problem> {
    let fault = |what: &str| Err(Problem::new(what, FORM));
    if text.is_empty() {
        return fault("holds an empty URL");
    }
    // The parser would silently drop line breaks and tabs.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return fault("holds a blank");
    }
    let Ok(url) = Url::parse(text) else { return fault("is not a URL") };
    if !matches!(url.scheme(), "amqp" | "amqps") {
        return fault("is neither amqp:// nor amqps://");
    }
    if url.host_str().is_none_or(str::is_empty) {
        // The library connects to `localhost` instead.
        return fault("names no host");
    }
    if url.fragment().is_some() || url.path().contains('@') {
        return fault("holds an unescaped /, ? or # before its host");
    }
    // A lone slash asks for the virtual host with the empty name, which no broker has by default.
    if url.path() == "/" || url.path().matches('/').count() > 1 {
        return fault(
            "names no virtual host that could exist: leave the last / out or write /%2F for the default",
        );
    }
    if ![url.username(), url.password().unwrap_or_default(), url.path()].into_iter().all(is_utf8) {
        return fault("has escapes that are not UTF-8");
    }
    parameters(&url)?;
    Ok(match url.scheme() {
        "amqps" => LinkSecurity::Encrypted,
        _ if is_loopback(&url) => LinkSecurity::Loopback,
        _ => LinkSecurity::Plain,
    })
}

fn parameters(url: &Url) -> Result<(), Problem> {
    for (name, value) in url.query_pairs() {
        if let Some((name, key)) = OWN_KEYS.iter().find(|(own, _)| *own == name) {
            let what = format!("holds the parameter {name}");
            return Err(Problem::new(what, format!("remove it and set {key}")));
        }
        if !PARAMETERS.contains(&&*name) {
            let known = PARAMETERS.join(", ");
            return Err(Problem::new("holds an unknown parameter", format!("choose of {known}")));
        }
        // The library uses the first of two values.
        if url.query_pairs().filter(|(other, _)| *other == name).count() > 1 {
            return Err(Problem::new(format!("holds the parameter {name} twice"), "remove one"));
        }
        let choices = match &*name {
            "frame_max" => within(&value, FRAME_MAX),
            "channel_max" => within(&value, CHANNEL_MAX),
            _ if MECHANISMS.contains(&&*value.to_ascii_lowercase()) => None,
            _ => Some(MECHANISMS.join(", ")),
        };
        if let Some(choices) = choices {
            let what = format!("holds a parameter {name} that cannot work");
            return Err(Problem::new(what, format!("choose {choices}, or leave it out")));
        }
    }
    Ok(())
}

/// Returns `None` for a number within the bounds, or a text with the allowed range.
fn within(value: &str, bounds: RangeInclusive<u32>) -> Option<String> {
    let fits = value.parse().is_ok_and(|number: u32| bounds.contains(&number));
    (!fits).then(|| format!("a number from {} to {}", bounds.start(), bounds.end()))
}

/// Whether a part of a URL is UTF-8 after percent-decoding.
fn is_utf8(part: &str) -> bool {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    std::str::from_utf8(&bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_urls_and_their_protection() {
        for (url, link) in [
            ("amqp://guest:guest@127.0.0.1:5672/%2f", LinkSecurity::Loopback),
            ("amqp://127.9.9.9", LinkSecurity::Loopback),
            ("amqp://LOCALHOST/jobs", LinkSecurity::Loopback),
            ("amqp://localhost.example", LinkSecurity::Plain),
            ("amqp://u:p%40ss%2Fw%C3%B6rd@rabbit.example:5673/jobs", LinkSecurity::Plain),
            ("amqp://u:100%@rabbit.example", LinkSecurity::Plain),
            ("amqps://rabbit.example", LinkSecurity::Encrypted),
            (
                "amqps://rabbit.example/v?auth_mechanism=EXTERNAL&frame_max=4096",
                LinkSecurity::Encrypted,
            ),
            ("amqps://rabbit.example?frame_max=1048576&channel_max=16", LinkSecurity::Encrypted),
            ("amqp://[::1]:5672/%2f", LinkSecurity::Loopback),
            ("amqp://u:p@[2001:db8::1]:5672/%2f", LinkSecurity::Plain),
            ("amqps://[2001:db8::1]", LinkSecurity::Encrypted),
        ] {
            assert_eq!(check(url), Ok(link), "{url}");
        }
    }

    #[test]
    fn bad_urls() {
        for (url, what) in [
            ("", "empty"),
            ("rabbit", "not a URL"),
            ("amqp://ra bbit", "blank"),
            ("amqp://u:p\n@rabbit", "blank"),
            ("https://rabbit", "neither"),
            ("amqp://", "no host"),
            ("amqp:///vhost", "no host"),
            ("amqp:rabbit", "no host"),
            ("amqp://[2001:db8::1:5672", "not a URL"),
            ("amqp://user:12/34@rabbit/v", "unescaped"),
            ("amqp://user:12#34@rabbit", "unescaped"),
            ("amqp://rabbit/", "virtual host"),
            ("amqp://rabbit/a/b", "virtual host"),
            ("amqp://u:%ff@rabbit", "UTF-8"),
            ("amqp://rabbit?heartbeat=5", "the parameter heartbeat"),
            ("amqp://rabbit?connection_timeout=5", "the parameter connection_timeout"),
            ("amqp://rabbit?verify=none", "unknown parameter"),
            ("amqp://rabbit?channel_max=many", "channel_max that cannot work"),
            ("amqp://rabbit?channel_max=1", "channel_max that cannot work"),
            ("amqp://rabbit?channel_max=65536", "channel_max that cannot work"),
            ("amqp://rabbit?frame_max=1", "frame_max that cannot work"),
            ("amqp://rabbit?frame_max=4095", "frame_max that cannot work"),
            ("amqp://rabbit?frame_max=4294967296", "frame_max that cannot work"),
            ("amqp://rabbit?frame_max=9000&frame_max=1", "frame_max twice"),
            ("amqp://rabbit?auth_mechanism=kerberos", "auth_mechanism that cannot work"),
            ("amqp://rabbit?auth_mechanism", "auth_mechanism that cannot work"),
        ] {
            let problem = check(url).unwrap_err();
            assert!(problem.what.contains(what), "{url}: {problem:?}");
        }
    }
}
