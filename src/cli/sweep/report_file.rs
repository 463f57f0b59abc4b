//! The report file.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::Path,
};

use crate::cli::whole_file::{ORDINARY, WholeFile};

/// Writes the report and syncs it. A file is replaced in one step: a reader finds the old report or the new
/// one, also after a crash.
///
/// If this fails, the old report stays, unless the file itself had to be overwritten.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    // The target of a symbolic link is replaced, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&path) {
        // A pipe or a device cannot be replaced.
        Ok(about) if !about.is_file() => File::create(&path)?.write_all(text.as_bytes()),
        about => match replace(&path, text, about.ok().map(|about| about.permissions())) {
            // The folder may be read-only, or the file a mount point: the file itself may still be writable.
            Err(error) if takes_no_other(error.kind()) && path.exists() => over(&path, text),
            result => result,
        },
    }
}

const fn takes_no_other(kind: ErrorKind) -> bool {
    use ErrorKind::{PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(kind, PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
}

fn over(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn replace(path: &Path, text: &str, permissions: Option<fs::Permissions>) -> io::Result<()> {
    let mut file = WholeFile::create(path, ORDINARY)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.write(text)?;
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
        write(&path, "first").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let reader = fs::File::open(&path).unwrap();
        symlink("report.json", &link).unwrap();
        write(&link, "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        let about = fs::metadata(&path).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o640);
        assert_ne!(about.ino(), reader.metadata().unwrap().ino(), "it was written in place");
        assert_eq!(io::read_to_string(reader).unwrap(), "first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a part was left behind");
    }

    #[test]
    fn a_special_file_is_written_in_place() {
        write(Path::new("/dev/null"), "report").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(write(Path::new("/dev/full"), "report").is_err());
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), "report").is_err());
        assert!(write(&folder.path().join("nowhere/report.json"), "report").is_err());
    }
}
