//! The files of a report, and the signatures beside them.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use secrecy::SecretSlice;
use tracing::warn;

use super::{
    exit::Failure,
    places::CommandFile,
    whole_file::{ORDINARY, WholeFile},
};
use crate::{
    domain::ErrorChain,
    endpoint::read_file,
    ports::{Clock, SystemClock, host_name},
    report::{Document, Origin, SIGNATURE_BYTES, SigningKey, page},
};

/// The ending of a signature's file.
const SIGNATURE: &str = ".sig";

/// The files of a report.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReportFileArgs {
    /// Also write the report to this file: as a page for people if it ends with .html, otherwise as JSON. Repeat it for
    /// both forms
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,

    /// Sign each report with this Ed25519 key (PKCS#8, PEM). The signature goes to the report's file with .sig behind
    /// it; `revoker report verify` checks it. Without a key, the signature of a former report is removed
    #[arg(long, value_name = "FILE", requires = "report")]
    sign_key_file: Option<PathBuf>,
}

impl ReportFileArgs {
    /// Reads the signing key, if there is one.
    pub(super) fn key(&self) -> Result<Option<SigningKey>, Failure> {
        let Some(path) = &self.sign_key_file else { return Ok(None) };
        let place = path.display();
        let file: SecretSlice<u8> = match read_file(path) {
            Ok(file) => file.into(),
            Err(error) => return Err(Failure::usage(format!("{place} cannot be read: {error}"))),
        };
        let key = SigningKey::read(&file);
        key.map(Some).map_err(|fault| Failure::usage(format!("{place}: {fault}")))
    }

    /// The files of the signatures, in the order of the reports. They are written, or removed if nothing is signed.
    pub(super) fn signatures(&self) -> Vec<PathBuf> {
        self.report.iter().map(|path| signature_of(path)).collect()
    }

    /// The files that the reports must not overwrite, and the reports.
    pub(super) fn places<'a>(
        &'a self,
        signatures: &'a [PathBuf],
    ) -> impl Iterator<Item = CommandFile<'a>> {
        let key = self.sign_key_file.iter().map(|path| ("the signing key", path.as_path()));
        let reports = self.report.iter().map(|path| ("the report", path.as_path()));
        let signatures = signatures.iter().map(|path| ("the signature", path.as_path()));
        key.chain(reports).chain(signatures)
    }

    /// Writes each report, and its signature or none. Returns an error for each file that cannot be written: the others are
    /// still written.
    pub(super) fn write(
        &self,
        json: &str,
        document: &Document<'_>,
        key: Option<&SigningKey>,
    ) -> Vec<Failure> {
        let write = |path: &PathBuf| {
            let html = is_page(path).then(|| page(document));
            let report = html.as_deref().unwrap_or(json).as_bytes();
            write(path, report).map_err(|error| unwritable(path, &error))?;
            let signature = signature_of(path);
            let Some(key) = key else { return remove_former(&signature) };
            write(&signature, &key.sign(report)).map_err(|error| unwritable(&signature, &error))
        };
        self.report.iter().filter_map(|path| write(path).err()).collect()
    }
}

/// Where and when a report is made, that is: here and now.
pub(super) fn origin(key: Option<&SigningKey>) -> Origin {
    Origin::new(SystemClock.now(), host_name(), key.map(SigningKey::id))
}

/// The file of a report's signature.
pub(super) fn signature_of(report: &Path) -> PathBuf {
    let mut name = OsString::from(report);
    name.push(SIGNATURE);
    name.into()
}

/// Removes the signature of a former report: beside a report that is not signed, it looks like a forgery. Leaves a file
/// of another length, which is not ours.
fn remove_former(signature: &Path) -> Result<(), Failure> {
    let about = fs::metadata(signature);
    if !about.is_ok_and(|about| about.is_file() && about.len() == SIGNATURE_BYTES) {
        return Ok(());
    }
    let place = signature.display();
    match fs::remove_file(signature) {
        Ok(()) => {
            warn!("{place} was removed: it signed the former report, and this one is not signed");
            Ok(())
        }
        Err(error) => Err(Failure::new(format!(
            "{place} signs the former report and cannot be removed: {error}; remove it, or sign this report"
        ))),
    }
}

fn is_page(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    matches!(ending.as_deref(), Some("html" | "htm"))
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {}", path.display(), ErrorChain(error)))
}

/// Writes a report and syncs it. A file is replaced in one step: a reader finds the old report or the new
/// one, also after a crash.
///
/// If this fails, the old report stays, unless the file itself had to be overwritten.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    // The target of a symbolic link is replaced, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&path) {
        // A pipe or a device cannot be replaced.
        Ok(about) if !about.is_file() => File::create(&path)?.write_all(content),
        about => match replace(&path, content, about.ok().map(|about| about.permissions())) {
            // The folder may be read-only, or the file a mount point: the file itself may still be writable.
            Err(error) if takes_no_other(error.kind()) && path.exists() => over(&path, content),
            result => result,
        },
    }
}

const fn takes_no_other(kind: ErrorKind) -> bool {
    use ErrorKind::{PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(kind, PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
}

fn over(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn replace(path: &Path, content: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    let mut file = WholeFile::create(path, ORDINARY)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.write(content)?;
    file.keep(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_former_report_is_replaced_whole_and_keeps_its_mode_and_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("report.json"), folder.path().join("link"));
        write(&path, b"first").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let reader = fs::File::open(&path).unwrap();
        symlink("report.json", &link).unwrap();
        write(&link, b"second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        let about = fs::metadata(&path).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o640);
        assert_ne!(about.ino(), reader.metadata().unwrap().ino(), "it was written in place");
        assert_eq!(io::read_to_string(reader).unwrap(), "first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a part was left behind");
    }

    #[test]
    fn only_the_signature_of_a_former_report_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let signature = signature_of(&folder.path().join("report.json"));
        remove_former(&signature).unwrap();
        fs::write(&signature, [7; 64]).unwrap();
        remove_former(&signature).unwrap();
        assert!(!signature.exists());
        fs::write(&signature, "a signature of another program").unwrap();
        remove_former(&signature).unwrap();
        assert!(signature.exists());
    }

    #[test]
    fn a_special_file_is_written_in_place() {
        write(Path::new("/dev/null"), b"report").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(write(Path::new("/dev/full"), b"report").is_err());
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), b"report").is_err());
        assert!(write(&folder.path().join("nowhere/report.json"), b"report").is_err());
    }
}
