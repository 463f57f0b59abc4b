//! Files that settings point to: certificates, keys, profiles.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// The largest such file, in bytes. A path to a device or a log must not fill the memory.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads a whole file of at most [`MAX_FILE_BYTES`].
///
/// # Errors
///
/// The error of the system; [`io::ErrorKind::FileTooLarge`] for a larger file.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_file_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let most = usize::try_from(MAX_FILE_BYTES).unwrap();
        std::fs::write(&path, vec![b'x'; most]).unwrap();
        assert_eq!(read_file(&path).unwrap().len(), most);
        std::fs::write(&path, vec![b'x'; most + 1]).unwrap();
        assert_eq!(read_file(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let endless = read_file(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
    }
}
