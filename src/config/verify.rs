//! The section `verify`: the checks of tokens' states.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use url::Url;

use crate::{
    domain::{VerifyPolicy, VerifyWhen},
    endpoint::{
        AuthMethod, CredentialSettings, Proof, Settings, VerifySettings, introspection_profile,
    },
};

use super::{
    auth,
    clients::{SecretNeed, client_id, client_secret},
    endpoint::{address, is_loopback},
    faults::Problem,
    profile::is_set,
    reader::ConfigReader,
    value,
};

const WHEN: &str = "verify.when";
const URL: &str = "verify.url";
const TRUSTS_INACTIVE: &str = "verify.trusts_inactive";
const DELAY: &str = "verify.delay";
const CLIENT_ID: &str = "verify.auth.client_id";
const CLIENT_SECRET: &str = "verify.auth.client_secret";

/// All checks of one delivery have to fit into the ten minutes that it may be in flight.
const DELAYS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
/// Not one: after a single call, the server may not have revoked the token yet.
const ATTEMPTS: RangeInclusive<u32> = 2..=5;

const WHENS: [(&str, VerifyWhen); 4] = [
    ("never", VerifyWhen::Never),
    ("ambiguous", VerifyWhen::Ambiguous),
    ("after", VerifyWhen::After),
    ("before_and_after", VerifyWhen::BeforeAndAfter),
];

/// The settings of the section.
pub(super) struct VerifySection {
    pub(super) policy: VerifyPolicy,
    /// `None` without a URL.
    pub(super) settings: Option<VerifySettings>,
}

/// Reads the section. The introspection endpoint uses the same connection settings as the revoke endpoint.
pub(super) fn read(
    reader: &mut ConfigReader,
    endpoint: &Settings,
    secrets: SecretNeed,
) -> VerifySection {
    let policy = VerifyPolicy {
        when: reader.required_or(WHEN, value::choice(&WHENS), VerifyWhen::Never),
        trusts_inactive: reader.required(TRUSTS_INACTIVE, value::flag()),
        delay: reader.required(DELAY, value::duration(DELAYS)),
        attempts: reader.required_or("verify.attempts", value::count(ATTEMPTS), 2),
    };
    let url = url(reader, policy.when);
    let settings = settings(reader, endpoint, url, secrets);
    look_for_oddities(reader, &policy, endpoint);
    VerifySection { policy, settings }
}

fn url(reader: &mut ConfigReader, when: VerifyWhen) -> Option<Url> {
    let url = reader.optional(URL, address());
    let checks = when != VerifyWhen::Never;
    reader.require(&[WHEN, URL], url.is_some() || !checks, || {
        Problem::new(
            format!("needs {URL}"),
            "set it to the URL of the server's introspection endpoint (RFC 7662)",
        )
    });
    let fits = url.as_ref().is_none_or(|url| url.scheme() == "https" || is_loopback(url));
    reader.require(&[URL], fits, || {
        Problem::new("is plain HTTP to a host other than this one", "use https://")
    });
    url
}

/// Reads the client of the checks; its keys are known also without a URL.
fn settings(
    reader: &mut ConfigReader,
    endpoint: &Settings,
    url: Option<Url>,
    secrets: SecretNeed,
) -> Option<VerifySettings> {
    let profile = introspection_profile();
    let place = url.as_ref().unwrap_or(&endpoint.url);
    let mut auth = auth::read(reader, &auth::VERIFY, &profile, place, secrets);
    let known = !matches!(auth.method, AuthMethod::None | AuthMethod::SelfBearer);
    reader.require(&[auth::VERIFY.method], known, || {
        let what = "is no proof of a client, and a server tells the state of tokens only to a client that it knows";
        Problem::new(what, "choose \"basic\", \"post\", \"bearer\", \"private_key_jwt\" or \"mtls\"")
    });
    let id = reader.optional(CLIENT_ID, client_id());
    let secret = client_secret(reader, CLIENT_SECRET, secrets, profile.secret_max());
    let has_secret =
        is_set(reader, CLIENT_SECRET) || is_set(reader, "verify.auth.client_secret_file");
    let url = url?;
    let missing = "the client that checks is one of its own";
    reader.require(&[CLIENT_ID], id.is_some(), || {
        Problem::new(format!("is missing: {missing}"), "set it to that client's id")
    });
    let needs = auth.method.needs_secret() && secrets == SecretNeed::Needed;
    reader.require(&[CLIENT_SECRET], has_secret || !needs, || {
        let remedy = format!("set it or {CLIENT_SECRET}_file");
        Problem::new(format!("is missing: {missing}"), remedy)
    });
    reader.require(&[CLIENT_SECRET], !has_secret || auth.method.needs_secret(), || {
        let what = format!("is not of the method {}", auth.method.as_str());
        Problem::new(what, "remove it")
    });
    let id = id?;
    if !auth.method.needs_secret() {
        auth.client_id = Some(id.clone());
    }
    let clients: BTreeMap<_, _> =
        secret.map(|secret| (id.clone(), secret.source)).into_iter().collect();
    let secret_max = profile.secret_max();
    let endpoint = Settings { url, profile, auth, token_type_hint: None, ..endpoint.clone() };
    let credentials = CredentialSettings { clients, directory: None, secret_max };
    Some(VerifySettings { endpoint, client_id: id.into(), credentials })
}

/// Warns about valid settings that are probably a mistake.
fn look_for_oddities(reader: &mut ConfigReader, policy: &VerifyPolicy, endpoint: &Settings) {
    let unused = policy.when == VerifyWhen::Never && is_set(reader, URL);
    reader.expect(&[URL, WHEN], !unused, || {
        Problem::new(format!("is not used, because {WHEN} is \"never\""), format!("set {WHEN}"))
    });
    let settles = policy.when != VerifyWhen::Ambiguous || policy.trusts_inactive;
    reader.expect(&[WHEN, TRUSTS_INACTIVE], settles, || {
        Problem::new(
            format!(
                "settles nothing without {TRUSTS_INACTIVE}: nobody looks at a token before its call"
            ),
            "try the server with `revoker check --live-token-file`, then set it",
        )
    });
    let is_later = endpoint.profile.proof == Proof::Accepted;
    let at_once = policy.when >= VerifyWhen::After && policy.delay.is_zero();
    reader.expect(&[DELAY, WHEN], !(is_later && at_once), || {
        let what = format!("is zero, while the profile {} revokes later", endpoint.profile.name);
        Problem::new(what, "give the endpoint time, or each job ends as still_active")
    });
}

/// Looks whether a stop leaves time for the delay and the check after it.
pub(super) fn fit_into_grace(
    reader: &mut ConfigReader,
    policy: &VerifyPolicy,
    timeout: Duration,
    grace: Duration,
) {
    let needed = policy.delay.saturating_add(timeout);
    let fits = policy.when == VerifyWhen::Never || policy.delay.is_zero() || needed <= grace;
    reader.expect(&[DELAY, "shutdown.grace"], fits, || {
        Problem::new(
            "lets a stop finish no check that takes as long as it may: its job comes again, and is called again",
            format!(
                "choose shutdown.grace at least as long as {DELAY} and endpoint.timeout together: {}",
                humantime::format_duration(needed)
            ),
        )
    });
}
