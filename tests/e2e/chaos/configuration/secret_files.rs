//! Files of secrets that cannot be read, or hold no secret.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{Check, assert_refused, leave};
use crate::{
    chaos::{Evidence, documented::Setting},
    harness::canary,
};

/// A path for each unreadable secret: a missing file, a folder, an empty file, a single newline, binary data, an
/// endless file, a dangling link, and a link to itself.
fn files(folder: &Path) -> Vec<PathBuf> {
    let path = |name: &str| folder.join(name);
    fs::write(path("empty"), "").unwrap();
    fs::write(path("newline"), "\n").unwrap();
    fs::write(path("bytes"), [canary::SECRET.as_bytes(), b"\xff"].concat()).unwrap();
    symlink(path("absent"), path("dangling")).unwrap();
    symlink(path("loop"), path("loop")).unwrap();
    let names = ["absent", "", "empty", "newline", "bytes", "dangling", "loop"];
    names.iter().map(|name| path(name)).chain(["/dev/zero".into()]).collect()
}

/// Tests each path with each key for a secret file. The fault names the key, and nothing of the file's content.
#[tokio::test(flavor = "multi_thread")]
async fn that_cannot_be_read() {
    let (began, check) = (Instant::now(), Check::new());
    let folder = tempfile::tempdir().unwrap();
    let all = Setting::all();
    let is_secret = |key: &str| {
        let plain = key.strip_suffix("_file");
        plain.is_some_and(|plain| all.iter().any(|setting| setting.key == plain))
    };
    let files = files(folder.path());
    let (mut count, mut keys) = (0, 0);
    for setting in all.iter().filter(|setting| is_secret(&setting.key)) {
        keys += 1;
        for path in &files {
            let line = format!("{} = \"{}\"\n", setting.key, path.display());
            let launch = check.with("secrets.toml", &line);
            assert_refused(&launch.run().await, &[&setting.key]);
            count += 1;
        }
    }
    let evidence = Evidence::of(count, "refusals").and(keys, "keys");
    leave("unreadable secret files", evidence, began);
}
