//! The section `endpoint`.

use std::{net::Ipv4Addr, ops::RangeInclusive, sync::Arc, time::Duration};

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Host;
use url::Url;

use crate::{
    domain::GonePolicy,
    endpoint::{Profile, Settings},
};

use super::{
    auth,
    clients::SecretNeed,
    faults::Problem,
    file,
    form::{Form, Kind, SecretForm},
    preset::{self, Preset},
    profile,
    reader::ConfigReader,
    value::{self, CONNECTING, QUICK, WHILE_IN_FLIGHT},
};

pub(super) const URL: &str = "endpoint.url";
const CA_FILE: &str = "endpoint.ca_file";
const ENVIRONMENT: &str = "endpoint.environment";
pub(super) const AUDIENCE: &str = "endpoint.audience";
/// A shorter age costs too many handshakes.
const AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=value::LONGEST;

const CONNECT_TIMEOUT: &str = "endpoint.connect_timeout";
pub(super) const TIMEOUT: &str = "endpoint.timeout";
pub(super) const PRESUME: &str = "endpoint.presume_revoked_after_ambiguity";

pub(super) struct EndpointSection {
    pub(super) settings: Settings,
    /// The audience of jobs without one.
    pub(super) audience: Arc<str>,
    pub(super) presume_revoked_after_ambiguity: bool,
    pub(super) gone: GonePolicy,
}

/// The policy for a job whose token does not exist any more.
const GONE: [(&str, GonePolicy); 2] =
    [("settle", GonePolicy::Settle), ("dead_letter", GonePolicy::DeadLetter)];

pub(super) fn read(
    reader: &mut ConfigReader,
    max_concurrency: usize,
    secrets: SecretNeed,
) -> EndpointSection {
    let environment = value::choice(&preset::ENVIRONMENTS);
    let preset = reader.required_or(ENVIRONMENT, environment, &preset::DEVELOPMENT);
    let profile = profile::read(reader);
    profile::refuse_others(reader, &profile);
    let url = endpoint_url(reader, preset, &profile);
    let settings = Settings {
        auth: auth::read(reader, &auth::ENDPOINT, &profile, &url, secrets),
        url,
        token_type_hint: profile::hint(reader, &profile),
        api_version: reader.required("endpoint.api_version", value::text().and(header)),
        connect_timeout: reader.required(CONNECT_TIMEOUT, value::duration(CONNECTING)),
        timeout: reader.required(TIMEOUT, value::duration(WHILE_IN_FLIGHT)),
        connection_max_age: reader.required("endpoint.connection_max_age", value::duration(AGE)),
        ca_file: reader.file(CA_FILE, file::certificates),
        proxy: proxy(reader),
        http2: reader.required("endpoint.http2", value::flag()),
        locale: reader.required("endpoint.locale", value::text()),
        max_concurrency,
        profile,
    };
    let audience = reader.optional(AUDIENCE, value::text());
    for (key, text) in [
        ("endpoint.api_version", Some(&settings.api_version)),
        ("endpoint.locale", Some(&settings.locale)),
        (AUDIENCE, audience.as_ref()),
    ] {
        if let Some(text) = text {
            reader.look_for_strays(key, text);
        }
    }
    fit_times(reader, &settings);
    look_for_oddities(reader, &settings, preset, audience.is_some());
    let preset_audience = if settings.profile.is_alignet() { preset.audience } else { "" };
    if audience.is_none() && !preset_audience.is_empty() {
        reader.derive(AUDIENCE, Some(preset_audience.to_owned()), ENVIRONMENT);
    }
    EndpointSection {
        audience: audience.map_or_else(|| preset_audience.into(), Arc::from),
        presume_revoked_after_ambiguity: presumes(reader, &settings.profile),
        gone: reader.required_or("endpoint.gone", value::choice(&GONE), GonePolicy::Settle),
        settings,
    }
}

/// Refuses a call that may end before its connection is there.
fn fit_times(reader: &mut ConfigReader, settings: &Settings) {
    let fits = settings.connect_timeout <= settings.timeout;
    reader.require(&[TIMEOUT, CONNECT_TIMEOUT], fits, || {
        Problem::new(
            "does not fit: the time of a whole call is shorter than that of its connecting",
            format!("choose {TIMEOUT} at least as long as {CONNECT_TIMEOUT}"),
        )
    });
}

/// Reads whether a rejection after an ambiguous call counts as revoked.
fn presumes(reader: &mut ConfigReader, profile: &Profile) -> bool {
    let presumes = reader.required(PRESUME, value::flag());
    reader.require(&[PRESUME], !presumes || profile.rejects_repeats(), || {
        let name = &profile.name;
        Problem::new(
            format!(
                "does not fit the profile {name}: it does not reject the second call for a token"
            ),
            "remove it",
        )
    });
    presumes
}

/// Warns about valid settings that are probably a mistake.
fn look_for_oddities(
    reader: &mut ConfigReader,
    settings: &Settings,
    preset: &Preset,
    has_audience: bool,
) {
    reader.expect(&[TIMEOUT], settings.timeout >= QUICK, || {
        Problem::new(
            "is short: each call that it cuts off may have worked, and its retry may be rejected",
            "raise it unless the unit is meant",
        )
    });
    let connects = settings.connect_timeout >= QUICK;
    // A short `endpoint.timeout` has a warning of its own, and connecting cannot take longer than it.
    reader.expect(&[CONNECT_TIMEOUT], connects || settings.timeout < QUICK, || {
        Problem::new(
            "is short: an endpoint that is slow to answer is never connected to",
            "raise it unless the unit is meant",
        )
    });
    let encrypted = settings.url.scheme() == "https";
    reader.expect(&[CA_FILE, URL], encrypted || settings.ca_file.is_none(), || {
        Problem::new("is not used, because the endpoint is called without TLS", "remove it")
    });
    let others = preset::ENVIRONMENTS.iter().filter(|(_, other)| !std::ptr::eq(*other, preset));
    let host = settings.url.host_str();
    let is_alignet = settings.profile.is_alignet();
    for (name, other) in others.filter(|(_, other)| is_alignet && other.url().host_str() == host) {
        let fits = has_audience || other.audience == preset.audience;
        reader.expect(&[URL, "endpoint.environment"], fits, || {
            Problem::new(
                format!("is the endpoint of {name}, while the audience is of another environment"),
                format!("set endpoint.environment = \"{name}\", or {AUDIENCE}"),
            )
        });
    }
}

fn endpoint_url(reader: &mut ConfigReader, preset: &Preset, profile: &Profile) -> Url {
    let allowed = reader.required("endpoint.allow_plain_http", value::flag());
    let configured = reader.optional(URL, address());
    let known = configured.is_some() || profile.is_alignet() || profile.url().is_some();
    reader.require(&[URL], known, || {
        Problem::new(
            format!("is missing: the profile {} has no URL of its own", profile.name),
            "set it to the URL of the server's revocation endpoint",
        )
    });
    if configured.is_none() {
        let (url, from) = match profile.url() {
            Some(url) => (Some(url.clone()), "the profile"),
            None if profile.is_alignet() => (Some(preset.url()), ENVIRONMENT),
            None => (None, "the profile"),
        };
        reader.derive(URL, url.map(String::from), from);
    }
    let url = configured.or_else(|| profile.url().cloned()).unwrap_or_else(|| preset.url());
    if url.scheme() == "http" && !is_loopback(&url) {
        if allowed {
            reader.warn("endpoint.url sends tokens and secrets unencrypted: use https://");
        }
        reader.require(&[URL, "endpoint.allow_plain_http"], allowed, || {
            Problem::new(
                "is plain HTTP to a host other than this one",
                "use https://, or set endpoint.allow_plain_http = true where tokens may be read on the way",
            )
        });
    }
    url
}

pub(super) fn address() -> Kind<Url> {
    Kind::new(Form::Url, |value| without_extras(web_url(value::string(value)?)?))
}

fn without_extras(url: Url) -> Result<Url, Problem> {
    if url.fragment().is_some() {
        return Err(Problem::new(
            "holds a fragment",
            "remove # and the text after it: it is never sent",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::new(
            "holds a user name or password",
            "remove it: the endpoint knows us by credentials.client_id and its secret",
        ));
    }
    Ok(url)
}

fn proxy(reader: &mut ConfigReader) -> Option<SecretString> {
    let secret = reader.secret("endpoint.proxy", SecretForm::WebUrl)?;
    let value = reader.secret_value(&secret)?;
    web_url(value.expose_secret()).map_err(|problem| reader.refuse(&secret.key, problem)).ok()?;
    Some(value)
}

fn web_url(text: &str) -> Result<Url, Problem> {
    let fault = |what| Err(Problem::new(what, "write it like https://host/path"));
    value::without_strays(text)?;
    // The parser would silently drop line breaks and tabs.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return fault("holds a blank");
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => fault("is neither http:// nor https://"),
        Err(_) => fault("is not a URL with a host"),
    }
}

fn header(text: String) -> Result<String, Problem> {
    // `HeaderValue` accepts bytes beyond ASCII, which servers interpret differently.
    if text.is_ascii() && HeaderValue::from_str(&text).is_ok() {
        Ok(text)
    } else {
        Err(Problem::new("is invalid in a header", "use ASCII characters only"))
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // In an AMQP URL, an address counts as a name.
        Some(Host::Domain(name)) => {
            let address = name.parse::<Ipv4Addr>();
            name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}
