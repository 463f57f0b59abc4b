//! The revision of a build: that of git in a release, never an unknown one that passes for known.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The build script, compiled.
fn build_script(folder: &Path) -> PathBuf {
    let program = folder.join("build-script");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-o"]).arg(&program).arg(root().join("build.rs"));
    let compiled = run(rustc.current_dir(folder));
    assert!(compiled.status.success(), "{}", text(&compiled.stderr));
    program
}

/// What the build script prints in a folder, and the revision that it sets.
fn built(program: &Path, folder: &Path, variables: &[(&str, &str)]) -> (String, String) {
    let mut command = Command::new(program);
    command.current_dir(folder).env_remove("REVOKER_REVISION").env_remove("GIT_DIR");
    let said = text(&run(command.envs(variables.iter().copied())).stdout);
    let set = said.lines().find_map(|line| line.strip_prefix("cargo::rustc-env=REVOKER_REVISION="));
    let revision = set.unwrap_or_else(|| panic!("none in {said}")).to_owned();
    (said, revision)
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
    let done = run(command.current_dir(folder).env_remove("GIT_DIR"));
    assert!(done.status.success(), "{}", text(&done.stderr));
    text(&done.stdout)
}

#[test]
fn a_release_has_the_revision_of_git_or_the_one_that_it_is_given() {
    const RELEASE: (&str, &str) = ("PROFILE", "release");
    let folder = tempfile::tempdir().unwrap();
    let program = build_script(folder.path());
    let work = tempfile::tempdir().unwrap();
    let at = |variables: &[_]| built(&program, work.path(), variables);

    let (said, revision) = at(&[RELEASE]);
    assert_eq!(revision, "unknown", "there is no repository");
    assert!(
        said.contains("cargo::warning=the revision is unknown: set REVOKER_REVISION"),
        "{said}"
    );
    assert_eq!(at(&[RELEASE, ("REVOKER_REVISION", "v1.2-abc")]).1, "v1.2-abc");
    assert_eq!(at(&[RELEASE, ("REVOKER_REVISION", "a b\n")]).1, "unknown", "no single word");
    assert_eq!(at(&[("PROFILE", "debug")]).1, "debug");

    std::fs::write(work.path().join("file"), "content").unwrap();
    git(work.path(), &["init", "-q"]);
    git(work.path(), &["add", "file"]);
    git(work.path(), &["commit", "-qm", "First"]);
    let commit = git(work.path(), &["rev-parse", "--short=12", "HEAD"]);
    let (said, revision) = at(&[RELEASE]);
    assert_eq!(revision, commit);
    assert!(said.contains("cargo::rerun-if-changed=.git/logs/HEAD"), "{said}");
    std::fs::write(work.path().join("file"), "changed").unwrap();
    assert_eq!(at(&[RELEASE]).1, format!("{commit}-dirty"));
}

/// The scripts of a release fail before they ship a binary that cannot say what it is.
#[test]
fn the_release_scripts_refuse_an_unknown_revision() {
    let script = |revision: &str, git_dir: &str, arguments: &[&str]| {
        let mut command = Command::new(root().join("scripts/release/revision"));
        command.args(arguments).env("REVOKER_REVISION", revision);
        if !git_dir.is_empty() {
            command.env("GIT_DIR", git_dir);
        }
        run(&mut command)
    };
    for (revision, git_dir) in [("unknown", ""), ("debug", ""), ("a b", ""), ("", "/nowhere")] {
        let refused = script(revision, git_dir, &[]);
        assert!(!refused.status.success(), "{revision:?} is taken");
        assert!(text(&refused.stderr).contains("REVOKER_REVISION"), "{}", text(&refused.stderr));
    }
    assert_eq!(text(&script("abc123", "", &[]).stdout), "abc123");
    let refused = script("abc123", "", &[env!("CARGO_BIN_EXE_revoker")]);
    assert!(!refused.status.success(), "a binary of another revision is taken");
    for name in ["binary", "../image"] {
        let script = std::fs::read_to_string(root().join("scripts/release").join(name)).unwrap();
        assert!(script.contains("=$(scripts/release/revision)"), "{name} does not ask");
    }
}

#[test]
fn the_binary_tells_its_version_and_its_revision() {
    let told = text(&run(Command::new(env!("CARGO_BIN_EXE_revoker")).arg("--version")).stdout);
    let rest = told.strip_prefix(concat!("revoker ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    let revision = rest.strip_suffix(')').unwrap();
    assert!(!revision.is_empty() && revision != "unknown", "{told}");
}
