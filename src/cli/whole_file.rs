//! A file that exists completely or not at all.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Read and write for the owner, nothing for others.
pub(super) const OWNER_ONLY: u32 = 0o600;

/// The mode of an ordinary new file, before the umask.
pub(super) const ORDINARY: u32 = 0o666;

/// A file that has another name until it is complete.
#[derive(Debug)]
pub(super) struct WholeFile {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    kept: bool,
}

impl WholeFile {
    /// Creates a file that gets the name `path` later.
    pub(super) fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        let mut partial = OsString::from(".");
        partial.push(name);
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(partial);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
        Ok(Self { path: path.to_owned(), partial, file: BufWriter::new(file), kept: false })
    }

    pub(super) fn write(&mut self, content: impl AsRef<[u8]>) -> io::Result<()> {
        self.file.write_all(content.as_ref())
    }

    pub(super) fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.file.get_ref().set_permissions(permissions)
    }

    /// Syncs the file and gives it its name. Replaces an existing file only if `replace` is set. After an error, the
    /// former file stays.
    pub(super) fn keep(mut self, replace: bool) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        if replace {
            fs::rename(&self.partial, &self.path)?;
            self.kept = true;
        } else {
            // Unlike a rename, it fails if the name exists. The drop removes the first name.
            fs::hard_link(&self.partial, &self.path)?;
        }
        Ok(())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.kept {
            // An error here cannot be reported.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_complete_or_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.ndjson");
        let mut file = WholeFile::create(&path, OWNER_ONLY).unwrap();
        file.write("one\n").unwrap();
        drop(file);
        assert_eq!(names(dir.path()), [""; 0], "given up");

        let mut file = WholeFile::create(&path, OWNER_ONLY).unwrap();
        file.write("one\n").unwrap();
        assert!(!path.exists());
        file.keep(false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        assert_eq!(names(dir.path()), ["out.ndjson"]);
    }

    #[test]
    fn another_file_is_replaced_only_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.ndjson");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = WholeFile::create(&path, OWNER_ONLY).unwrap().keep(false).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        WholeFile::create(&path, OWNER_ONLY).unwrap().keep(true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        assert_eq!(names(dir.path()), ["out.ndjson"]);
    }
}
