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

/// A path for each way in which a secret cannot be had: nothing there, a folder, nothing in it, a mere
/// newline, no text, no end, a link to nothing and one to itself.
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

/// Each of them for each key that takes a file with a secret: refused, with its key, and with nothing of
/// what the file holds.
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
