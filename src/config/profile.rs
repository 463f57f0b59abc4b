//! The endpoint's profile and its client authentication.

use std::sync::Arc;

use crate::endpoint::{ALIGNET, BUILTIN, Profile, builtin};

use super::{
    endpoint::AUDIENCE,
    faults::Problem,
    file,
    form::{Form, Kind},
    key::ConfigKey,
    layer::ValueOrigin,
    reader::{ConfigReader, of_file},
    value,
};

const PROFILE: &str = "endpoint.profile";
const PROFILE_FILE: &str = "endpoint.profile_file";
const HINT: &str = "endpoint.token_type_hint";

/// Reads the profile. A faulty profile is replaced by the default one. The load fails anyway, so the replacement is
/// never used.
pub(super) fn read(reader: &mut ConfigReader) -> Arc<Profile> {
    let path = reader.optional(PROFILE_FILE, value::path());
    let named = reader.required_or(PROFILE, name(), ALIGNET);
    let both = path.is_some() && is_set(reader, PROFILE);
    reader.require(&[PROFILE_FILE], !both, || {
        Problem::new(format!("is given beside {PROFILE}"), "keep one of the two")
    });
    let from_file = path.and_then(|path| {
        let text = file::read(&path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| Problem::new("is not UTF-8", "save it as UTF-8"))
        });
        let text = text.map_err(|problem| reader.refuse(PROFILE_FILE, of_file(problem))).ok()?;
        let parsed = Profile::parse_own(&text).map(Arc::new).map_err(|faults| {
            for fault in faults {
                let shown = file::shown(&path);
                let problem = Problem::new(
                    format!("names a file with a fault: {shown}:{}: {}", fault.line, fault.what),
                    "`revoker profile check` lists the faults of a file",
                );
                reader.refuse(PROFILE_FILE, problem);
            }
        });
        parsed.ok()
    });
    from_file.or_else(|| builtin(named)).unwrap_or_else(default)
}

#[allow(clippy::expect_used, reason = "it is compiled in; a test parses it")]
fn default() -> Arc<Profile> {
    builtin(ALIGNET).expect("the default profile is sound")
}

fn name() -> Kind<&'static str> {
    Kind::new(Form::Choice(BUILTIN.iter().map(|(name, _)| *name).collect()), |value| {
        let given = value::string(value)?;
        BUILTIN.iter().find(|(name, _)| *name == given).map(|(name, _)| *name).ok_or_else(|| {
            let names: Vec<_> = BUILTIN.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            Problem::new(
                "is no built-in profile",
                format!("choose {}, or set {PROFILE_FILE}", names.join(", ")),
            )
        })
    })
}

/// Whether a file or variable sets a key.
pub(super) fn is_set(reader: &ConfigReader, key: &str) -> bool {
    reader.find(&ConfigKey::from(key)).is_some_and(|entry| entry.origin != ValueOrigin::Default)
}

/// Whether a key is set to another value than its default. A file may repeat defaults: it may be a copy of
/// `config/default.toml`.
pub(super) fn is_changed(reader: &ConfigReader, key: &str) -> bool {
    let key = ConfigKey::from(key);
    let mut entries = reader.layers().filter_map(|layer| layer.entries.get(&key));
    let Some(set) = entries.next() else { return false };
    let default = entries.last().unwrap_or(set);
    default.origin != ValueOrigin::Default || default.value != set.value
}

/// Refuses settings of the default profile beside another one.
pub(super) fn refuse_others(reader: &mut ConfigReader, profile: &Profile) {
    if profile.is_alignet() {
        return;
    }
    let mut keys = vec!["endpoint.environment", "endpoint.api_version", "endpoint.locale"];
    if !profile.takes_audience() {
        keys.push(AUDIENCE);
    }
    for key in keys {
        if is_set(reader, key) {
            let what = format!(
                "is a setting of the profile {ALIGNET}, and the profile is {}",
                profile.name
            );
            reader.refuse(key, Problem::new(what, "remove it"));
        }
    }
}

/// Reads the hint of the token's type.
pub(super) fn hint(reader: &mut ConfigReader, profile: &Profile) -> Option<String> {
    let hint = reader.optional(HINT, value::text());
    reader.require(&[HINT], hint.is_none() || profile.takes_hint(), || {
        Problem::new(
            format!("does not fit the profile {}: it sends no hint", profile.name),
            "remove it",
        )
    });
    hint
}
