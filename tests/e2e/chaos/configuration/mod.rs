//! Configuration faults are reported before any action, and secrets change under load.

mod keys;
mod rotated;
mod secret_files;

use std::process::ExitStatus;

use crate::{
    chaos::{Area, Evidence, row::Row},
    harness::{Launch, Worker, canary, resolver::Name, resolver::Resolver},
};

/// The host of the default endpoint. No test resolves it outside of this machine.
const DEFAULT_ENDPOINT: &str = "auth.wip.alignet.io";

/// Leaves the row of a case that has no jobs.
fn leave(fault: &'static str, evidence: Evidence, began: std::time::Instant) {
    Row {
        area: Area::Configuration,
        fault,
        evidence,
        jobs: 0,
        revoked: 0,
        dead_letters: 0,
        calls: 0,
        twice: 0,
        bound: 0,
        redelivered: 0,
        seconds: began.elapsed().as_secs_f64(),
    }
    .write();
}

/// `revoker check` with a client, and a file of the case's own if there is one.
struct Check {
    resolver: Resolver,
    folder: tempfile::TempDir,
}

impl Check {
    fn new() -> Self {
        Self {
            resolver: Resolver::new(DEFAULT_ENDPOINT, Name::Unknown),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// With neither a client nor a file.
    fn bare(&self) -> Launch {
        self.resolver.control(Launch::bare("check"))
    }

    /// With a client in one file, and this second file, which overrides it.
    fn with(&self, name: &str, file: &str) -> Launch {
        let write = |name: &str, content: &str| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let client = format!(
            "[credentials]\nclient_id = \"some-client\"\nclient_secret = \"{}\"\n",
            canary::SECRET
        );
        let files = [write("client.toml", &client), write(name, file)];
        files.iter().fold(self.bare(), |launch, path| launch.arg("--config").arg(path.display()))
    }
}

/// Asserts that a configuration was refused with these words. The drop of the process asserts that no secret is
/// printed.
fn assert_refused((worker, status): &(Worker, ExitStatus), words: &[&str]) {
    let said = worker.stderr();
    assert_eq!(status.code(), Some(2), "{words:?}: {said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(worker.stdout(), "", "something was tried: {words:?}");
}
