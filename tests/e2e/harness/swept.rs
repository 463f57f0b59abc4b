//! A file of a sweep, and the files that the sweep writes beside it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Endpoint, Launch, canary, eventually, token};

/// A file in its own folder. On drop, all files in the folder are searched for canaries.
pub struct Swept {
    folder: TempDir,
    name: String,
}

impl Swept {
    /// A file of this name with this content.
    pub fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let swept = Self { folder: tempfile::tempdir().unwrap(), name: name.to_owned() };
        swept.write(content);
        swept
    }

    /// A file with a token on each of this many lines; the token of line `n` is `token(n)`.
    pub fn tokens(lines: usize) -> Self {
        Self::new("tokens.txt", text(1..=lines))
    }

    /// Replaces its content.
    pub fn write(&self, content: impl AsRef<[u8]>) {
        fs::write(self.input(), content).unwrap();
    }

    /// `revoker sweep` on it.
    pub fn launch(&self, endpoint: &Endpoint) -> Launch {
        sweep(endpoint).arg(self.input().display())
    }

    /// The file.
    pub fn input(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// A file beside it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its journal.
    pub fn journal(&self) -> PathBuf {
        self.beside(&format!("{}.journal.ndjson", self.name))
    }

    /// The last entry of each line, by its number.
    pub fn entries(&self) -> BTreeMap<usize, Value> {
        let entries = lines(&self.journal()).into_iter().filter(|line| line.get("line").is_some());
        entries.map(|entry| (line(&entry), entry)).collect()
    }

    /// The lines whose last entry has this outcome.
    pub fn lines_with(&self, outcome: &str) -> Vec<usize> {
        let entries = self.entries().into_iter();
        entries.filter(|(_, entry)| entry["outcome"] == outcome).map(|(line, _)| line).collect()
    }

    /// Waits until its journal fulfils `condition`.
    pub async fn until_journal(&self, what: &str, condition: impl Fn(&str) -> bool) {
        eventually(what, async || {
            let journal = fs::read_to_string(self.journal()).unwrap_or_default();
            if condition(&journal) { Ok(()) } else { Err(journal) }
        })
        .await;
    }

    /// The reasons of the failed lines, by the list of them.
    pub fn failed(&self) -> BTreeMap<usize, String> {
        let list = self.beside(&format!("{}.failed.ndjson", self.name));
        let reason = |entry: &Value| entry["reason"].as_str().unwrap().to_owned();
        lines(&list).iter().map(|entry| (line(entry), reason(entry))).collect()
    }
}

impl Drop for Swept {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for file in fs::read_dir(self.folder.path()).unwrap() {
            let path = file.unwrap().path();
            if path != self.input() {
                canary::assert_clean(&path.display().to_string(), &fs::read(&path).unwrap());
            }
        }
    }
}

/// `revoker sweep`.
pub fn sweep(endpoint: &Endpoint) -> Launch {
    Launch::bare("sweep").set("log.format", "json").calling(endpoint)
}

/// These tokens, one a line.
pub fn text(tokens: impl IntoIterator<Item = usize>) -> String {
    tokens.into_iter().map(|n| token(n) + "\n").collect()
}

/// The number of the line that an entry is about.
fn line(entry: &Value) -> usize {
    usize::try_from(entry["line"].as_u64().unwrap()).unwrap()
}

/// The whole lines of an NDJSON file; none if there is no such file.
fn lines(path: &Path) -> Vec<Value> {
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
