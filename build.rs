//! Sets the revision that the binary tells in `revoker --version` and in the metric `revoker_build_info`.
//!
//! In order: `REVOKER_REVISION`, for a build without the repository; the commit of an optimized build; `debug`. A debug
//! build does not ask git, because each commit would build everything again. Scripts that ship a binary refuse one that
//! says `unknown`.

use std::{env, path::Path, process::Command};

const VARIABLE: &str = "REVOKER_REVISION";

/// The characters of a commit's name that are kept.
const SHORT: &str = "--short=12";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let named = env::var(VARIABLE).ok().filter(|name| is_revision(name));
    let optimized = env::var("PROFILE").is_ok_and(|profile| profile != "debug");
    let revision = named.unwrap_or_else(|| {
        if optimized {
            commit().unwrap_or_else(|| {
                println!(
                    "cargo::warning=the revision is unknown: set {VARIABLE}, or use the repository"
                );
                "unknown".to_owned()
            })
        } else {
            "debug".to_owned()
        }
    });
    println!("cargo::rustc-env={VARIABLE}={revision}");
}

/// The commit that is checked out; with `-dirty`, if a file differs from it.
fn commit() -> Option<String> {
    // A package's sources may lie in a repository of somebody else.
    let own = git(&["rev-parse", "--show-prefix"])?.is_empty();
    // The second one changes with each commit, checkout and reset. The others decide whether the tree is clean.
    let head = ["HEAD", "logs/HEAD"].map(|file| git(&["rev-parse", "--git-path", file]));
    let sources = ["Cargo.toml", "Cargo.lock", "config", "src"].map(|path| Some(path.to_owned()));
    for path in head.into_iter().chain(sources).flatten().filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = git(&["rev-parse", SHORT, "HEAD"]).filter(|_| own)?;
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let revision = if changed { format!("{commit}-dirty") } else { commit };
    is_revision(&revision).then_some(revision)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// One word that a log line, a label and a file's name can hold.
fn is_revision(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}
