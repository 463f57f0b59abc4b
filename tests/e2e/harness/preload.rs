//! Small preloaded libraries, for faults that have no other way.

use std::{path::Path, process::Command};

use super::Launch;

/// Builds the library from a source beside this file into `library`. The linker's compiler builds it, so this works if
/// the tests can be linked.
pub fn build(source: &str, library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/harness").join(source);
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .args([library, &source])
        .arg("-ldl")
        .status()
        .expect("a C compiler, which Rust needs to link as well");
    assert!(built.success(), "{} does not compile: {built}", source.display());
}

/// Returns `launch` with the library preloaded.
pub fn preloaded(launch: Launch, library: &Path) -> Launch {
    launch.environment("LD_PRELOAD", library.display())
}
