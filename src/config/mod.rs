//! Combines the settings of all parts, checks them, and reports all faults at once.
//!
//! The sources are the built-in defaults, then the files in order, then the environment. For each key, the last source
//! wins. The defaults are a file too (`config/default.toml`, compiled in), so every key has its default and
//! documentation in one place.

mod auth;
mod broker;
mod broker_url;
mod catalogue;
mod clients;
mod credentials;
mod documentation;
mod endpoint;
mod faults;
mod file;
mod flow;
mod form;
mod in_force;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod key;
mod layer;
mod outcomes;
mod preset;
mod process;
mod profile;
mod reader;
mod retry;
mod schema;
mod secret;
mod service_links;
mod shown;
mod starter;
mod unknown;
mod value;
mod verify;

use std::{ffi::OsString, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    domain::{JobDefaults, Policy},
    endpoint::Profile,
    flow::PauseSettings,
    pipeline,
};

use self::{clients::SecretNeed, faults::Problem, layer::ConfigLayer, reader::ConfigReader};

pub use self::{
    faults::ConfigFaults,
    in_force::{SettingInForce, SettingOrigin, SettingsInForce},
    process::{AdminSettings, LogFormat, LogSettings, ProcessSettings, ShutdownSettings},
    schema::schema,
    starter::starter,
};

/// Every key with its default, its unit and its reason.
const DEFAULTS: &str = include_str!("../../config/default.toml");

const REMEMBER: &str = "duplicates.remember";
const CAPACITY: &str = "duplicates.capacity";

const REMEMBERED: RangeInclusive<Duration> = Duration::ZERO..=value::LONGEST;

/// The most remembered tokens. More would not fit into memory, so a larger number is a mistake.
const MAX_REMEMBERED: usize = 100_000_000;

/// The settings of all parts, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub broker: crate::broker::BrokerSettings,
    pub endpoint: crate::endpoint::Settings,
    pub credentials: crate::endpoint::CredentialSettings,
    /// The settings of the checks of tokens; `None` without an introspection endpoint.
    pub verify: Option<crate::endpoint::VerifySettings>,
    pub flow: crate::flow::Settings,
    pub pipeline: pipeline::Settings,
    pub admin: AdminSettings,
    pub log: LogSettings,
    pub shutdown: ShutdownSettings,
    pub process: ProcessSettings,
    /// The configuration files, in order.
    pub files: Vec<PathBuf>,
    /// Warnings about valid but unusual settings, one sentence each, to be logged once.
    pub warnings: Vec<String>,
}

impl Config {
    /// Loads the configuration from `files` and the variables of the environment, as [`std::env::vars_os`]
    /// gives them. Later files override earlier ones. Other variables are skipped.
    ///
    /// [`ConfigFaults`] lists every fault: unreadable files, broken syntax, unknown keys, wrong values,
    /// contradictory settings, secrets that are missing or unreadable.
    pub fn load<N, V>(
        needs: Needs,
        files: &[PathBuf],
        environment: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigFaults>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut reader = reader(files, environment);
        let config = Self::read(&mut reader, needs);
        let (faults, warnings) = reader.finish();
        if faults.is_empty() {
            Ok(Self { warnings, files: files.to_vec(), ..config })
        } else {
            Err(ConfigFaults::new(faults))
        }
    }

    fn read(reader: &mut ConfigReader, needs: Needs) -> Self {
        let mut flow = flow::read(reader);
        let retry = retry::read(reader);
        let mut endpoint = endpoint::read(reader, flow.concurrency_max, needs.client_secrets);
        guard_by_profile(reader, &mut flow.pause, &endpoint.settings.profile);
        let client_secrets = if endpoint.settings.auth.method.needs_secret() {
            needs.client_secrets
        } else {
            SecretNeed::Unneeded
        };
        let secret_max = endpoint.settings.profile.secret_max();
        let credentials = credentials::read(reader, client_secrets, secret_max);
        auth::name_client(reader, &mut endpoint.settings, credentials.client_id.as_deref(), needs);
        let verify = verify::read(reader, &endpoint.settings, needs.client_secrets);
        let park = retry.park.clone();
        let mut broker = broker::read(reader, flow.concurrency_max, park, needs.history_keys);
        let presumes = endpoint.presume_revoked_after_ambiguity;
        if presumes && needs.history_keys == SecretNeed::Needed {
            require_history_key(reader, broker.history_key_file.is_some());
        }
        let shutdown = process::shutdown(reader, endpoint.settings.timeout);
        verify::fit_into_grace(reader, &verify.policy, endpoint.settings.timeout, shutdown.grace);
        let profile = Arc::clone(&endpoint.settings.profile);
        let (outcomes, records) = outcomes::read(reader, &broker.queue, &endpoint.settings);
        broker.outcomes = outcomes;
        Self {
            broker,
            endpoint: endpoint.settings,
            credentials: credentials.settings,
            verify: verify.settings,
            flow,
            pipeline: pipeline::Settings {
                defaults: JobDefaults {
                    audience: endpoint.audience,
                    client_id: credentials.client_id.map(Into::into),
                    token_max: profile.token_max,
                },
                policy: Policy {
                    retry,
                    presume_revoked_after_ambiguity: endpoint.presume_revoked_after_ambiguity,
                    rejects_repeats: profile.rejects_repeats(),
                    gone: endpoint.gone,
                },
                verify: verify.policy,
                remember: reader.required(REMEMBER, value::duration(REMEMBERED)),
                remember_capacity: reader.required(CAPACITY, value::count(0..=MAX_REMEMBERED)),
                records,
            },
            admin: process::admin(reader),
            log: process::log(reader),
            shutdown,
            process: process::process(reader),
            files: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// A reader of the defaults, the files and the variables.
fn reader<N, V>(files: &[PathBuf], environment: impl IntoIterator<Item = (N, V)>) -> ConfigReader
where
    N: Into<OsString>,
    V: Into<OsString>,
{
    let variables = environment.into_iter().map(|(name, value)| (name.into(), value.into()));
    ConfigReader::new(
        std::iter::once(ConfigLayer::defaults(DEFAULTS))
            .chain(files.iter().map(|path| ConfigLayer::file(path)))
            .chain(std::iter::once(ConfigLayer::environment(variables))),
    )
}

/// The secrets that a command needs. Other secrets may be absent, and their files are not opened.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// The secrets of the clients.
    client_secrets: SecretNeed,
    /// The keys of parked jobs' histories.
    history_keys: SecretNeed,
}

impl Needs {
    /// The needs of a worker.
    pub const ALL: Self =
        Self { client_secrets: SecretNeed::Needed, history_keys: SecretNeed::Needed };
    /// A command that takes no jobs from a broker.
    pub const CALLS: Self = Self { history_keys: SecretNeed::Unneeded, ..Self::ALL };
    /// A command that makes no calls to the endpoint.
    pub const NONE: Self =
        Self { client_secrets: SecretNeed::Unneeded, history_keys: SecretNeed::Unneeded };
}

/// Applies the guard of a profile, also before the first success: rejections may be caused by a setting of ours.
fn guard_by_profile(reader: &mut ConfigReader, pause: &mut PauseSettings, profile: &Profile) {
    let Some(guard) = profile.after_rejections else { return };
    if pause.after_rejections.is_none() {
        reader.derive(flow::AFTER_REJECTIONS, Some(guard.to_string()), "the profile");
    }
    let most = *pause.after_rejections.get_or_insert(guard);
    if pause.first_rejections > most {
        reader.derive(flow::FIRST_REJECTIONS, Some(most.to_string()), flow::AFTER_REJECTIONS);
        pause.first_rejections = most;
    }
}

/// The presumption relies on a parked job's history. Without a key, a producer can forge that history.
fn require_history_key(reader: &mut ConfigReader, holds: bool) {
    reader.require(&[endpoint::PRESUME, broker::HISTORY_KEY_FILE], holds, || {
        Problem::new(
            format!(
                "needs {}: without a key, any producer can claim that an earlier call of ours may have \
                 worked",
                broker::HISTORY_KEY_FILE
            ),
            format!(
                "make a key with {}, store it in a file, and name that file in every worker of these queues",
                broker::MAKES_A_KEY
            ),
        )
    });
}

#[cfg(test)]
mod tests;
