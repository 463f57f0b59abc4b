//! Tests of the configuration: files and variables in, settings or faults out.

mod agreement;
mod contradictions;
mod credentials;
mod defaults;
mod faults;
mod precedence;
mod profiles;
mod secrets;
mod sources;
mod starting;
mod verify;
mod warnings;

use std::{ffi::OsString, fs, path::PathBuf};

use tempfile::TempDir;

use super::*;

/// The variables that make a worker's configuration complete.
const CLIENT: [(&str, &str); 2] = [
    ("REVOKER_CREDENTIALS__CLIENT_ID", "merchant"),
    ("REVOKER_CREDENTIALS__CLIENT_SECRET", "s3cret"),
];

/// A folder with files for one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Loads one file, with a client in the environment.
fn load(file: &str) -> Result<Config, ConfigFaults> {
    load_with(file, &[])
}

/// Loads one file, with a client and more in the environment.
fn load_with(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigFaults> {
    let folder = Folder::new();
    let path = folder.write("worker.toml", file);
    Config::load(Needs::ALL, &[path], variables(CLIENT.iter().chain(environment)))
}

fn variables<'a>(
    pairs: impl IntoIterator<Item = &'a (&'a str, &'a str)>,
) -> Vec<(OsString, OsString)> {
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The lines of the faults, with file names instead of paths.
fn lines(faults: &ConfigFaults) -> Vec<String> {
    faults.iter().map(|fault| file_names(&fault.to_string())).collect()
}

/// Removes folders: `(/tmp/x/worker.toml:3)` becomes `(worker.toml:3)`.
fn file_names(line: &str) -> String {
    let cut = |word: &str| match word.rfind('/') {
        Some(slash) if word.contains(".toml") => {
            let open = if word.starts_with('(') { "(" } else { "" };
            format!("{open}{}", &word[slash + 1..])
        }
        _ => word.to_owned(),
    };
    line.split(' ').map(cut).collect::<Vec<_>>().join(" ")
}
