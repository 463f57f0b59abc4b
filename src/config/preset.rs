//! The presets of the vendor's three environments.

use url::Url;

#[derive(Debug)]
pub(super) struct Preset {
    url: &'static str,
    pub(super) audience: &'static str,
}

impl Preset {
    /// The endpoint.
    #[allow(clippy::expect_used, reason = "the presets are constants; a test parses each")]
    pub(super) fn url(&self) -> Url {
        Url::parse(self.url).expect("presets are URLs")
    }
}

/// The vendor's development environment.
pub(super) const DEVELOPMENT: Preset =
    Preset { url: "https://auth.wip.alignet.io/revoke", audience: "https://api.dev.alignet.io" };

/// The vendor's pre-production environment. Its audience is not documented, so it uses the audience of development.
const PRE_PRODUCTION: Preset =
    Preset { url: "https://auth.pp.alignet.io/revoke", audience: DEVELOPMENT.audience };

/// The vendor's production environment.
const PRODUCTION: Preset =
    Preset { url: "https://auth.alignet.io/revoke", audience: "https://api.alignet.io" };

/// The environments by their names.
pub(super) const ENVIRONMENTS: [(&str, &Preset); 3] = [
    ("development", &DEVELOPMENT),
    ("pre-production", &PRE_PRODUCTION),
    ("production", &PRODUCTION),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_https_urls() {
        for (name, preset) in ENVIRONMENTS {
            assert_eq!(preset.url().scheme(), "https", "{name}");
            assert_eq!(preset.url().path(), "/revoke", "{name}");
        }
    }
}
