//! Host names that a test controls: the product calls the system's resolver, and a small preloaded library answers for
//! the names of the test.
//!
//! `/etc/hosts` or a DNS server would need permissions and a separate machine.

use std::{fs, net::IpAddr, path::PathBuf};

use tempfile::TempDir;

use super::{Launch, preload};

/// The result of resolving a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// This address.
    Is(IpAddr),
    /// There is no such name.
    Unknown,
    /// No DNS server answers, and the resolver has given up.
    Failing,
    /// No DNS server answers, and the resolver still waits.
    Hanging,
}

/// One name and its result, for the processes that are launched with it.
pub struct Resolver {
    name: &'static str,
    folder: TempDir,
}

impl Resolver {
    /// Builds the library. `name` has the result `what`.
    pub fn new(name: &'static str, what: Name) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let resolver = Self { name, folder };
        preload::build("resolver.c", &resolver.path("resolver.so"));
        resolver.now(what);
        resolver
    }

    /// Changes the result of the name to `what`.
    pub fn now(&self, what: Name) {
        let answer = answer(what);
        let next = self.path("next");
        fs::write(&next, format!("{} {answer}\n", self.name)).unwrap();
        // In one step, so that no look-up reads half a file.
        fs::rename(next, self.path("names")).unwrap();
    }

    /// The number of look-ups with this result so far.
    pub fn met(&self, what: Name) -> usize {
        let lookups = fs::read_to_string(self.path("lookups")).unwrap_or_default();
        let line = format!("{} {}", self.name, answer(what));
        lookups.lines().filter(|lookup| **lookup == line).count()
    }

    /// Returns `launch` with this resolver.
    pub fn control(&self, launch: Launch) -> Launch {
        preload::preloaded(launch, &self.path("resolver.so"))
            .environment("STEERED_NAMES", self.path("names").display())
            .environment("STEERED_LOOKUPS", self.path("lookups").display())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn answer(what: Name) -> String {
    match what {
        Name::Is(address) => address.to_string(),
        Name::Unknown => "unknown".to_owned(),
        Name::Failing => "failing".to_owned(),
        Name::Hanging => "hanging".to_owned(),
    }
}
