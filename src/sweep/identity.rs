//! Recognises an input.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
    time::SystemTime,
};

use sha2::{Digest, Sha256};

use super::journal::InputId;
use crate::domain::to_hex;

/// The state of a file when it was hashed. It shows a later change without another hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|about| Self::from(&about))
    }
}

impl From<&Metadata> for Stamp {
    fn from(about: &Metadata) -> Self {
        Self { size: about.len(), modified: about.modified().ok() }
    }
}

/// Hashes the file at `path`. Blocks meanwhile.
pub fn identify(path: &Path) -> io::Result<(InputId, Stamp)> {
    let mut file = File::open(path)?;
    let stamp = Stamp::from(&file.metadata()?);
    let mut digest = Sha256::new();
    let size = io::copy(&mut file, &mut digest)?;
    let sha256 = to_hex(&digest.finalize());
    Ok((InputId { sha256, size }, stamp))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_is_known_by_its_content_and_a_change_by_its_stamp() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let (id, stamp) = identify(file.path()).unwrap();
        // The test vector of FIPS 180-4.
        assert_eq!(id.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(id.size, 3);
        assert_eq!(Stamp::of(file.path()).unwrap(), stamp);
        file.write_all(b"d").unwrap();
        assert_ne!(Stamp::of(file.path()).unwrap(), stamp);
        assert_ne!(identify(file.path()).unwrap().0, id);
    }
}
