//! Small preloaded libraries, for faults that nothing else can cause.

use std::{path::Path, process::Command};

use super::Launch;

/// Builds the library from a source beside this file into `library`. Wherever the tests can be linked this
/// works, for the linker's compiler builds it.
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

/// `launch` with the library in front.
pub fn preloaded(launch: Launch, library: &Path) -> Launch {
    launch.environment("LD_PRELOAD", library.display())
}
