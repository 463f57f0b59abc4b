//! The profiles that are compiled in.

use std::sync::{Arc, LazyLock};

use super::Profile;

/// The built-in profiles by their names, each with its file.
pub const BUILTIN: [(&str, &str); 8] = [
    ("alignet", include_str!("builtin/alignet.toml")),
    ("rfc7009", include_str!("builtin/rfc7009.toml")),
    ("keycloak", include_str!("builtin/keycloak.toml")),
    ("google", include_str!("builtin/google.toml")),
    ("github-app-token", include_str!("builtin/github-app-token.toml")),
    ("slack", include_str!("builtin/slack.toml")),
    ("twitch", include_str!("builtin/twitch.toml")),
    ("elasticsearch", include_str!("builtin/elasticsearch.toml")),
];

/// The built-in profile of this name.
#[must_use]
pub fn builtin(name: &str) -> Option<Arc<Profile>> {
    static PARSED: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(|| {
        // A test parses each.
        BUILTIN.iter().filter_map(|(_, file)| Profile::parse(file).ok().map(Arc::new)).collect()
    });
    PARSED.iter().find(|profile| profile.name == name).cloned()
}
